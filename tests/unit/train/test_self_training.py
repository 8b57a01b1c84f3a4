"""Soft labels, a teacher and images without a label: each alone, and through the train stage."""

import contextlib
import hashlib
import logging
import re
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from pipeline_lib.errors import ConfigError, Interrupted, SourceMissing
from pipeline_lib.harness.progress import Meter
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.networks.model_file import read_model_file
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.tables.soft_labels import SOFT_LABELS
from pipeline_lib.tables.table import Table
from pipeline_lib.tables.unlabelled import UNLABELLED
from pipeline_lib.train import initial_weights, inputs, soft_targets
from pipeline_lib.train.curves import Epoch, Trained, best_of, doubt
from pipeline_lib.train.loss import class_sizes
from pipeline_lib.train.params import TrainParams
from pipeline_lib.train.recipes import RECIPES
from pipeline_lib.train.run import run
from pipeline_lib.train.self_training import as_many_steps, pseudo_labels, with_guessed
from pipeline_lib.train.soft_targets import read_teacher, soft_labels_of, spread_rest
from testing.small_line import SmallLine

CLASSES = ["007", "stripes", "NA"]
CPU = torch.device("cpu")


def _own_selection(small_line: SmallLine, folder: Path) -> Path:
    shutil.copytree(small_line.folder / "selection", folder / "selection")
    return folder / "selection"


def _digest(weights: Path) -> str:
    return hashlib.sha256((weights / "model.safetensors").read_bytes()).hexdigest()


def test_classes_that_nobody_named_share_the_rest_evenly() -> None:
    """0.7 for one of three classes leaves 0.15 each; where all are named, rounding is taken out."""
    rows = spread_rest(np.array([[0.7, np.nan, np.nan], [0.5, 0.25, 0.26]]))

    assert rows[0] == pytest.approx([0.7, 0.15, 0.15])
    assert rows[1].sum() == pytest.approx(1)


def test_an_image_without_votes_keeps_its_label_and_one_with_votes_has_its_probabilities() -> None:
    soft = pd.DataFrame({"image_id": "b", "class_id": ["NA", "007"], "probability": [0.75, 0.25]})

    labels = soft_labels_of(
        soft, image_ids=pd.Series(["a", "b"]), classes=pd.Series(CLASSES), device=CPU
    )

    assert labels is not None
    targets = labels.targets(torch.tensor([2, 1, 0]), torch.tensor([1, 0, 0]))
    assert targets.tolist() == [[0.25, 0, 0.75], [0, 1, 0], [1, 0, 0]]


def test_votes_that_curate_gives_change_what_is_learnt(
    small_line: SmallLine, trained: Path, tmp_path: Path
) -> None:
    job = small_line.train(tmp_path)
    job.reads["selection"] = _own_selection(small_line, tmp_path)
    ids = SELECTION.read(job.reads["selection"] / "train.parquet")["image_id"]
    soft = pd.DataFrame({"image_id": ids, "class_id": "NA", "probability": 0.5})
    SOFT_LABELS.write(soft, job.reads["selection"] / "soft_labels.parquet")

    run(job)

    plain, softened = (
        pd.read_csv(out / "curves.csv")["train_loss"].iloc[-1] for out in (trained, tmp_path)
    )
    assert (
        softened > plain + 0.3
    )  # half of everything is uncertain: at least ln 2 less what smoothing costs anyway


def test_the_teachers_outputs_come_in_the_students_order_and_at_its_own_size(
    small_line: SmallLine, trained: Path
) -> None:
    job = small_line.train(
        trained, teacher=str(trained / "weights"), teacher_sha256=_digest(trained / "weights")
    )
    images = torch.randint(0, 256, (2, 48, 48, 3), dtype=torch.uint8)

    as_trained, turned = (read_teacher(job, order, CPU) for order in (CLASSES, CLASSES[::-1]))

    assert as_trained is not None and turned is not None
    assert torch.equal(as_trained.logits(images), turned.logits(images).flip(1))
    assert as_trained.side_px == 32


def test_a_student_agrees_with_its_teacher_and_names_it_in_its_description(
    small_line: SmallLine, trained: Path, tmp_path: Path
) -> None:
    pinned: dict[str, Any] = {
        "teacher": str(trained / "weights"),
        "teacher_sha256": _digest(trained / "weights"),
    }

    run(small_line.train(tmp_path, network="lenet", **pinned))

    assert read_model_file(tmp_path / "weights").parent == {
        "teacher_sha256": pinned["teacher_sha256"]
    }
    curves = pd.read_csv(tmp_path / "curves.csv")
    assert curves["train_loss"].iloc[-1] < curves["train_loss"].iloc[0]


def test_a_teacher_that_is_another_or_absent_or_too_narrow_is_refused(
    small_line: SmallLine, trained: Path
) -> None:
    weights = trained / "weights"

    with pytest.raises(
        ConfigError, match=f"is of another teacher .*set train.teacher_sha256 to {_digest(weights)}"
    ):
        read_teacher(
            small_line.train(trained, teacher=str(weights), teacher_sha256="0" * 64), CLASSES, CPU
        )
    with pytest.raises(
        SourceMissing, match="train.teacher: no such model.*name a folder with model.json"
    ):
        read_teacher(
            small_line.train(trained, teacher="nowhere", teacher_sha256="0" * 64), CLASSES, CPU
        )
    with pytest.raises(
        ConfigError, match="does not know 1 of 2 classes .found: cow.*choose a train.teacher"
    ):
        job = small_line.train(trained, teacher=str(weights), teacher_sha256=_digest(weights))
        read_teacher(job, ["NA", "cow"], CPU)


def test_a_teacher_without_its_digest_is_refused() -> None:
    with pytest.raises(ValidationError, match="teacher and teacher_sha256 go together"):
        TrainParams(teacher="line/train/weights")


def test_of_each_class_only_its_share_of_the_most_probable_guesses_is_taken() -> None:
    """Four images, shares of a half: of the three called class 0 the least probable stays out."""
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.3, 0.7]])

    taken = pseudo_labels(probabilities, np.array([0.5, 0.5]), confidence=0.6)

    assert taken[["position", "label"]].to_numpy().tolist() == [[0, 0], [1, 0], [3, 1]]


def test_guesses_under_the_confidence_are_left_out() -> None:
    taken = pseudo_labels(
        np.array([[0.65, 0.35], [0.4, 0.6]]), np.array([1.0, 1.0]), confidence=0.61
    )

    assert taken["position"].to_list() == [0]


def test_a_guessed_image_weighs_as_the_labelled_ones_of_its_class() -> None:
    rows = pd.DataFrame(
        {"image_id": ["a", "b"], "label": [0, 1], "class_id": CLASSES[:2], "weight": [0.5, 1.5]}
    )

    both = with_guessed(
        rows, pd.Series(["x", "y"]), np.array([[0.1, 0.9], [0.9, 0.1]]), CLASSES[:2], confidence=0.5
    )

    assert both["image_id"].to_list() == ["a", "b", "x", "y"]
    assert both["weight"].to_list() == [0.5, 1.5, 1.5, 0.5]


def test_a_round_takes_as_many_steps_as_the_labelled_images_alone() -> None:
    """Ten epochs over 100 are a thousand images: three epochs over 400, rounded up."""
    assert as_many_steps(RECIPES["quick"], n_labelled=100, n_all=400).epochs == 3


@pytest.mark.parametrize(
    ("n_val", "said"), [(50, "epoch 2 was right more often .46.00 %"), (8, "^$")]
)
def test_an_epoch_that_is_kept_though_a_later_one_was_right_more_often_is_told(
    n_val: int, said: str
) -> None:
    """Two standard errors of a difference are 20 points of 50 images, and 50 of 8."""
    curves = [Epoch(1, 1.6, 1.61, 0.20, 0.1), Epoch(2, 0.9, 1.7, 0.46, 0.1)]

    assert re.search(said, doubt(curves, n_val))
    assert doubt(curves[:1], n_val) == ""


def test_of_all_rounds_the_weights_that_validate_best_are_kept_and_epochs_are_counted_on() -> None:
    def trained(val_loss: float) -> Trained:
        epoch = Epoch(1, 1.0, val_loss, 0.5, 0.1)
        return Trained([epoch], epoch, {"w": torch.tensor(val_loss)})

    kept = best_of([trained(0.4), trained(0.2), trained(0.3)])

    assert (kept.best.epoch, kept.state["w"].item()) == (2, pytest.approx(0.2))
    assert [epoch.epoch for epoch in kept.curves] == [1, 2, 3]


def _few_labels(
    small_line: SmallLine, out: Path, selection: Path, **params: Any
) -> StageRun[TrainParams]:
    """A job with 24 labelled training images and 36 others; the selection is made where there is none."""
    job = small_line.train(out, **params)
    job.reads["selection"] = selection / "selection"
    if not job.reads["selection"].exists():
        folder = _own_selection(small_line, selection)
        rows = SELECTION.read(folder / "train.parquet")
        SELECTION.write(rows[:24], folder / "train.parquet")
        UNLABELLED.write(rows[24:][["image_id"]], folder / "unlabelled.parquet")
    return job


def test_images_without_a_label_are_guessed_and_trained_on(
    small_line: SmallLine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = _few_labels(small_line, tmp_path, tmp_path, epochs=12)

    with caplog.at_level(logging.INFO):
        run(job)

    said = next(
        record.getMessage() for record in caplog.records if "without a label" in record.getMessage()
    )
    n_taken = int(said.split()[0])
    assert "of 36 images without a label take part: " in said and n_taken > 18
    curves = pd.read_csv(tmp_path / "curves.csv")
    assert len(curves) == 12 + -(-12 * 24 // (24 + n_taken))
    assert curves["epoch"].is_monotonic_increasing


def test_weights_teacher_and_tables_are_read_once_however_many_rounds_there_are(
    small_line: SmallLine, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = trained / "weights"
    parents = {"weights": str(weights / "model.safetensors"), "weights_sha256": _digest(weights)}
    parents |= {"teacher": str(weights), "teacher_sha256": _digest(weights)}
    rounds = {"epochs": 1, "self_training_rounds": 2, "pseudo_confidence": 0.0}
    job = _few_labels(small_line, tmp_path / "out", tmp_path, **rounds, **parents)
    read: list[str] = []

    def count(target: object, name: str, word: str) -> None:
        real = getattr(target, name)

        def counted(*given: Any, **options: Any) -> Any:
            read.append(word)
            return real(*given, **options)

        monkeypatch.setattr(target, name, counted)

    def count_table(table: Table, word: str) -> None:
        def counted(path: Path) -> pd.DataFrame:
            read.append(word)
            return table.read(path)

        monkeypatch.setattr(inputs, table.name.upper(), SimpleNamespace(read=counted))

    count(initial_weights, "read_weight_file", "starting weights")
    count(soft_targets, "load_weights", "teacher")
    count(inputs, "read_classes", "classes")
    count_table(SELECTION, "selection")
    count_table(UNLABELLED, "unlabelled")
    count_table(SOFT_LABELS, "soft labels")

    run(job)

    assert len(pd.read_csv(tmp_path / "out/curves.csv")) == 3
    once = ["classes", "soft labels", "starting weights", "teacher", "unlabelled"]
    assert sorted(read) == sorted([*once, "selection", "selection"])  # of train and of val


def test_stopped_after_every_single_step_self_training_writes_the_same_bytes(
    small_line: SmallLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = {"epochs": 1, "batch_size": 16, "pseudo_confidence": 0.0}
    run(_few_labels(small_line, tmp_path / "undisturbed", tmp_path, **params))
    job, stops = _few_labels(small_line, tmp_path / "stopped", tmp_path, **params), 0
    real = Meter.step

    def step_and_stop(*step: Any) -> None:
        real(*step)
        signal.raise_signal(signal.SIGTERM)

    while not job.writes["weights"].exists():
        with monkeypatch.context() as patch, contextlib.suppress(Interrupted):
            patch.setattr(Meter, "step", step_and_stop)
            run(job)
        stops += 1

    assert stops > 3  # in both rounds
    files = ("weights/model.safetensors", "weights/model.json", "curves.csv")
    for name in files:
        assert (tmp_path / "stopped" / name).read_bytes() == (
            tmp_path / "undisturbed" / name
        ).read_bytes()


def test_balanced_sampling_makes_classes_equal_and_logit_adjustment_adds_only_what_is_left() -> (
    None
):
    rows = pd.DataFrame({"label": [0] * 9 + [1] * 3, "weight": 1.0})
    weighted = rows.assign(weight=[4 / 6] * 9 + [2.0] * 3)

    assert class_sizes(rows, n_classes=2, sampling="as_is").tolist() == [9, 3]
    assert class_sizes(rows, n_classes=2, sampling="balanced").tolist() == [6, 6]
    assert class_sizes(weighted, n_classes=2, sampling="as_is").tolist() == pytest.approx([6, 6])
