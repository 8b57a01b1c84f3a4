"""The train stage on real betons of small images."""

import hashlib
import json
import logging
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from pipeline_lib.errors import BadData, ConfigError
from pipeline_lib.harness.progress import Meter
from pipeline_lib.loader.view_params import ViewParams
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.model_file import read_model_file
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.train.learner import phases
from pipeline_lib.train.loaders import open_images
from pipeline_lib.train.loop import Loaders, train
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.recipes import RECIPES, Recipe
from pipeline_lib.train.run import run
from testing.small_line import SmallLine, trained_bytes


def test_it_learns(trained: Path) -> None:
    curves = pd.read_csv(trained / "curves.csv")

    assert list(curves.columns) == ["epoch", "train_loss", "val_loss", "val_top1", "learning_rate"]
    assert curves["train_loss"].iloc[-1] < 0.7 * curves["train_loss"].iloc[0]
    assert curves["val_top1"].max() > 0.8  # a guess is right in a third


def test_the_same_seed_and_threads_give_the_same_bytes(
    small_line: SmallLine, trained: Path, tmp_path: Path
) -> None:
    run(small_line.train(tmp_path))

    assert trained_bytes(tmp_path) == trained_bytes(trained)


def test_both_loaders_and_any_number_of_workers_give_the_same_bytes(
    small_line: SmallLine, trained: Path, tmp_path: Path
) -> None:
    settings = small_line.settings().model_copy(update={"loader": "python", "workers": 2})

    run(small_line.train(tmp_path, settings=settings))

    assert trained_bytes(tmp_path) == trained_bytes(trained)


def test_another_seed_gives_other_weights(
    small_line: SmallLine, trained: Path, tmp_path: Path
) -> None:
    run(small_line.train(tmp_path, seed=1, epochs=1))

    assert trained_bytes(tmp_path)[0] != trained_bytes(trained)[0]


def test_the_weights_kept_are_of_the_epoch_with_the_lowest_validation_loss(trained: Path) -> None:
    curves = pd.read_csv(trained / "curves.csv")
    kept = curves.iloc[curves["val_loss"].argmin()]

    assert read_model_file(trained / "weights").epoch == kept["epoch"]
    assert json.loads((trained / "validation.json").read_text()) == {
        "epoch": kept["epoch"],
        "val_loss": kept["val_loss"],
        "val_top1": kept["val_top1"],
        "train_top1": 1.0,
        "train_top1_batch_statistics": 1.0,
    }


def test_the_description_holds_classes_as_they_are_called_and_how_pixels_were_made(
    small_line: SmallLine, trained: Path
) -> None:
    about = read_model_file(trained / "weights")

    assert about.classes == ("007", "stripes", "NA")
    assert about.pixels["pixel_rules"]["exif_orientation"] == "apply"
    assert (about.recipe["name"], about.recipe["seed"], about.recipe["threads"]) == ("quick", 0, 1)
    assert str(small_line.folder) not in (trained / "weights/model.json").read_text()


def test_a_weight_file_is_built_upon_and_named_as_parent(
    small_line: SmallLine, trained: Path, tmp_path: Path
) -> None:
    weights = trained / "weights/model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()

    run(
        small_line.train(
            tmp_path, weights=str(weights), weights_sha256=digest, epochs=1, peak_learning_rate=1e-6
        )
    )

    curves = pd.read_csv(tmp_path / "curves.csv")
    assert curves["val_top1"].iloc[0] > 0.8  # at once: one epoch from scratch is at 0.4
    assert read_model_file(tmp_path / "weights").parent == {"weights_sha256": digest}


def test_a_probe_trains_the_head_alone_and_leaves_the_statistics_of_the_backbone(
    small_line: SmallLine,
) -> None:
    recipe = RECIPES["quick"].model_copy(update={"probe_epochs": 1, "epochs": 0, "batch_size": 8})
    torch.manual_seed(0)
    model = Classifier(
        build_network("mini_resnet", n_classes=3, side_px=32), mean=recipe.mean, std=recipe.std
    )
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    job = small_line.train(small_line.folder)
    rows = {
        split: SELECTION.read(job.reads["selection"] / f"{split}.parquet")
        for split in ("train", "val")
    }
    loaders = Loaders(
        open_images(job, rows["train"], recipe), open_images(job, rows["val"], recipe)
    )

    meter = Meter("", "", 1, 30)
    trained = train(
        model,
        recipe,
        objective=Objective(),
        loaders=loaders,
        device=torch.device("cpu"),
        meter=meter,
    )

    changed = {
        name for name, tensor in trained.state.items() if not torch.equal(tensor, before[name])
    }
    assert changed == {"head.weight", "head.bias"}


AUGMENTATIONS = [
    ("shift_px", 2),
    ("flip", True),
    ("scale_min", 0.3),
    ("rotation_deg", 20),
    ("zoom", 0.3),
]
AUGMENTATIONS += [
    ("shear_deg", 20),
    ("brightness", 0.5),
    ("contrast", 0.5),
    ("saturation", 0.5),
    ("cutout_px", 8),
]


def test_no_augmentation_is_missing_below() -> None:
    assert {name for name, _ in AUGMENTATIONS} == set(ViewParams.model_fields)


@pytest.mark.parametrize(("name", "value"), AUGMENTATIONS)
def test_every_augmentation_of_the_recipe_reaches_the_training_images_and_no_others(
    small_line: SmallLine, name: str, value: float
) -> None:
    job = small_line.train(small_line.folder)
    rows = SELECTION.read(job.reads["selection"] / "train.parquet")
    plain = RECIPES["quick"].changed(shift_px=0)
    recipe = plain.changed(**{name: value})

    def images(recipe: Recipe, *, training: bool) -> torch.Tensor:
        return next(iter(open_images(job, rows, recipe, training=training).epoch(0))).images_BHWC

    assert not torch.equal(images(recipe, training=True), images(plain, training=True))
    assert torch.equal(images(recipe, training=False), images(plain, training=False))


def test_balanced_sampling_of_the_recipe_is_for_training_only(small_line: SmallLine) -> None:
    job = small_line.train(small_line.folder)
    rows = SELECTION.read(job.reads["selection"] / "train.parquet")
    recipe = RECIPES["quick"].changed(sampling="balanced")

    shown, judged = (
        torch.cat(
            [
                batch.positions_B
                for batch in open_images(job, rows, recipe, training=training).epoch(0)
            ]
        )
        for training in (True, False)
    )

    assert len(shown.unique()) < len(shown)  # type: ignore[no-untyped-call]
    assert judged.tolist() == list(range(len(rows)))


def test_after_a_probe_everything_trains() -> None:
    recipe = RECIPES["finetune"].changed(probe_epochs=2, epochs=3)

    assert [(phase.epochs, phase.head_only) for phase in phases(recipe)] == [(2, True), (3, False)]


def test_a_rate_far_too_high_ends_with_the_remedy(small_line: SmallLine, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="params.yaml: the training diverged .*lower train.peak_learning_rate"
    ):
        run(
            small_line.train(
                tmp_path,
                network="lenet",
                peak_learning_rate=10.0,
                optimiser="sgd",
                weight_decay=1.0,
                epochs=60,
            )
        )
    assert not (tmp_path / "weights").exists()


def _with_rows(small_line: SmallLine, tmp_path: Path, split: str, keep: pd.Series | slice) -> Path:
    folder = tmp_path / "selection"
    shutil.copytree(small_line.folder / "selection", folder)
    rows = SELECTION.read(folder / f"{split}.parquet")
    SELECTION.write(rows[keep], folder / f"{split}.parquet")
    return folder


@pytest.mark.parametrize(
    ("split", "what"),
    [("train", "too few images to train on"), ("val", "too few images to validate on")],
)
def test_an_empty_split_is_refused(
    small_line: SmallLine, tmp_path: Path, split: str, what: str
) -> None:
    job = small_line.train(tmp_path)
    job.reads["selection"] = _with_rows(small_line, tmp_path, split, slice(0))

    with pytest.raises(BadData, match=f"{split}.parquet: {what} .found: 0 rows.*curation.json"):
        run(job)


def test_images_of_a_single_class_are_refused(small_line: SmallLine, tmp_path: Path) -> None:
    job = small_line.train(tmp_path)
    rows = SELECTION.read(small_line.folder / "selection/train.parquet")
    job.reads["selection"] = _with_rows(small_line, tmp_path, "train", rows["label"] == 0)

    with pytest.raises(
        BadData, match="train.parquet: the training images are all of one class.*a second class"
    ):
        run(job)


def test_ffcvs_own_loader_draws_training_views_where_params_say_so_and_evaluation_stays(
    small_line: SmallLine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A parameter, on the record of the model: another setting of the machine never chooses it."""
    caplog.set_level(logging.INFO)

    run(small_line.train(tmp_path, views="ffcv", epochs=4))

    assert "a training with it cannot be repeated" in caplog.text
    assert "ffcv loader" in caplog.text
    assert read_model_file(tmp_path / "weights").recipe["views"] == "ffcv"
    assert pd.read_csv(tmp_path / "curves.csv")["val_top1"].max() > 0.6
