"""Somebody's own photographs, of mixed kinds and sizes: from `perennial init` to a registered model, in a trial.

`make demo-photographs` runs `init` and the whole line on a copy of them, with planted faults. The trial is killed and
continued, with a shorter training, and leaves all else as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from demo.finished_line import read_manifest
from demo.photographs.faults import DAMAGES
from demo.photographs.grades import image_id
from demo.photographs.planting import Planted, file_of, read_planted
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.tables.beton_index import BETON_INDEX
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.predictions import PREDICTIONS
from testing.checkout import Checkout, throw_away_checkout
from testing.kill import working_in
from testing.photographs import CLASSES, write_photographs
from testing.versions import versions

TRIAL = Path("demo/out/photographs")
START_LIMIT_S = 300
UNREADABLE = {"cut off", "empty file", "HTML named .jpg"}


@dataclass(frozen=True)
class Trial:
    """said_at_first: by the trial that was killed. before: what it must not change, see `state_of`."""

    checkout: Checkout
    said_at_first: str
    said: str
    before: Mapping[str, str]

    @property
    def folder(self) -> Path:
        return self.checkout.folder / TRIAL

    @property
    def line(self) -> Checkout:
        return Checkout(self.folder / "line")

    @property
    def planted(self) -> Planted:
        planted = read_planted(self.folder / "planted")
        assert planted
        return planted


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs") / "my 'own' images"
    write_photographs(folder)
    return folder


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Trial:
    """A trial that was killed while its line began, and the same again with a shorter training."""
    folder = tmp_path_factory.mktemp("own")
    checkout = throw_away_checkout(folder / "checkout")
    before = state_of(checkout, photographs)
    line = Checkout(checkout.folder / TRIAL / "line")
    command = ("demo.photographs", str(photographs))
    with (folder / "killed.log").open("w", encoding="utf-8") as log:
        killed = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=checkout.folder,
            env=checkout.environment(TORCH_HOME=str(folder / "nothing there")),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + START_LIMIT_S
        while not working_in(line.folder) and killed.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
    said_at_first = (folder / "killed.log").read_text(encoding="utf-8")
    assert working_in(line.folder) or "Traceback" not in said_at_first, said_at_first

    line.shorten_training(1)  # the recipe's 224 px take minutes
    line.set_param("train.side_px", "64")
    line.set_param("train.probe_epochs", "100")
    said = checkout.python(*command).output
    return Trial(checkout, said_at_first, said, before)


def state_of(checkout: Checkout, photographs: Path) -> Mapping[str, str]:
    """All that a trial must not change: references, files of the checkout that git knows or not, the source."""
    refs = checkout.run("git", "for-each-ref").output
    status = checkout.run("git", "status", "--porcelain", "--ignored").output.splitlines()
    kept = [line for line in status if "demo/out" not in line and "pycache" not in line]
    files = [file for file in sorted(photographs.rglob("*")) if file.is_file()]
    source = [f"{file} {file.stat().st_mtime_ns} {_digest(file)}" for file in files]
    return {"refs": refs, "status": "\n".join(kept), "source": "\n".join(source)}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_init_says_what_it_recognised_and_writes_params_for_photographs(trial: Trial) -> None:
    params = read_yaml(trial.line.folder / "params.yaml")

    assert f"{len(trial.planted.files)} images" in trial.said_at_first
    assert "one folder per class" in trial.said_at_first
    assert all(f"{label} 4" in trial.said_at_first for label in CLASSES)  # forty and some more
    assert params["train"]["recipe"] == "finetune"
    assert (
        "starting from builtin:efficientnet_lite0 (which set-up installed)" in trial.said_at_first
    )
    assert params["convert"]["short_side_px"] >= 224


def test_a_killed_trial_continues_with_the_parameters_as_edited(trial: Trial) -> None:
    assert "continues, with the parameters of " in trial.said
    assert "epoch 1/1" in trial.said


def test_every_kind_of_photograph_is_decoded_and_converted(trial: Trial) -> None:
    manifest = read_manifest(trial.line.folder)
    decodable = {
        image_id(file.member) for file in trial.planted.files if file.kind not in UNREADABLE
    }

    betons = (trial.line.folder / "line/convert/betons").glob("*.index.parquet")
    converted = {image for index in betons for image in BETON_INDEX.read(index)["image_id"]}

    assert manifest.keys() == {image_id(file.member) for file in trial.planted.files}
    assert converted == decodable


def test_rotated_photographs_have_the_size_they_are_shown_in(trial: Trial) -> None:
    manifest = read_manifest(trial.line.folder)
    of_rotated = [file for file in trial.planted.files if "/rotated " in file.yours]
    rotated = [file for file in of_rotated if not file.copy_of and file.kind not in DAMAGES]

    assert rotated
    for file in rotated:
        with Image.open(file_of(trial.folder / "planted", file.member)) as image:
            shown = ImageOps.exif_transpose(image)
        row = manifest[image_id(file.member)]
        assert (row["width_px"], row["height_px"]) == shown.size


def test_the_registered_model_says_of_every_test_image_what_evaluate_said(trial: Trial) -> None:
    """All kinds of photographs, most of which `convert` re-encoded: the same class, and p to five digits."""
    (version,) = versions(trial.line)
    table = PREDICTIONS.read(trial.line.folder / "line/evaluate/predictions.parquet")
    table = table[table["split"] == "test"]
    classes = read_classes(trial.line.folder / "line/curate/classes.csv")["class_id"]
    file_by_id = {
        image_id(file.member): str(file_of(trial.folder / "planted", file.member))
        for file in trial.planted.files
    }
    files = [file_by_id[one] for one in table["image_id"]]

    words = ("predict", "--model", str(version.number), "--json", *files)
    said = trial.line.python("flows.cli", *words).output

    assert version.metrics
    rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [row["file"] for row in rows] == files
    for row, best, p in zip(rows, table["top_classes"], table["top_p"], strict=True):
        assert [guess["class"] for guess in row["guesses"]] == list(classes[best])
        assert [guess["p"] for guess in row["guesses"]] == pytest.approx(list(p), abs=1e-5)


def test_planted_damage_and_copies_of_the_same_bytes_are_found(trial: Trial) -> None:
    figures = figures_of(trial)
    damage = {key: value for key, value in figures.items() if key.startswith("damage_")}

    assert len(damage) == len(DAMAGES) and set(damage.values()) == {1.0}, trial.said
    assert figures["copies_same_bytes"] == 1
    assert figures["copies_found"] >= 6 > figures["leaks"], trial.said
    assert figures["labels_planted"] == 6


def test_what_was_missed_and_the_report_can_be_opened(trial: Trial, photographs: Path) -> None:
    missed = figures_of(trial)["missed"]
    report = trial.said.partition("\nReport   ")[2].splitlines()[0]

    assert trial.planted.uri == str(photographs)
    assert (trial.checkout.folder / report).is_file()
    assert all(file_of(trial.folder / "planted", one["member"]).is_file() for one in missed)
    assert all(one["member"] in trial.said for one in missed[:1])


def test_neither_the_source_nor_the_repository_is_touched(trial: Trial, photographs: Path) -> None:
    assert state_of(trial.checkout, photographs) == trial.before


def figures_of(trial: Trial) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((trial.folder / "score.json").read_text(encoding="utf-8"))
    return content
