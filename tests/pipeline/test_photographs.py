"""A folder of one's own photographs, of mixed kinds and sizes, from `perennial init` to a registered model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demo.finished_line import read_manifest
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.tables.beton_index import BETON_INDEX
from testing.checkout import Checkout, Repro, throw_away_checkout
from testing.photographs import CLASSES, OF_A_CLASS, write_photographs
from testing.versions import versions


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs") / "my images"
    write_photographs(folder, seed=0)
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return throw_away_checkout(tmp_path_factory.mktemp("own") / "checkout")


@pytest.fixture(scope="module")
def surveyed(checkout: Checkout, photographs: Path) -> Repro:
    return checkout.python(
        "flows.cli",
        "init",
        str(photographs),
        TORCH_HOME=str(checkout.folder / "nothing there"),
    )


@pytest.fixture(scope="module")
def trained(checkout: Checkout, surveyed: Repro) -> Checkout:
    checkout.shorten_training(1)  # the recipe's 224 px take minutes
    checkout.set_param("train.side_px", "64")
    checkout.set_param("train.probe_epochs", "100")
    checkout.repro()
    return checkout


def test_init_says_what_it_recognised_and_writes_params_for_photographs(
    checkout: Checkout, surveyed: Repro
) -> None:
    params = read_yaml(checkout.folder / "params.yaml")

    assert f"{len(CLASSES) * OF_A_CLASS} images" in surveyed.output
    assert "one folder per class" in surveyed.output
    assert all(f"{label} {OF_A_CLASS}" in surveyed.output for label in CLASSES)
    assert params["train"]["recipe"] == "finetune"
    assert "starting from builtin:efficientnet_lite0 (which set-up installed)" in surveyed.output
    assert params["convert"]["short_side_px"] >= 224


def test_every_kind_of_photograph_is_decoded_and_converted(trained: Checkout) -> None:
    manifest = read_manifest(trained.folder)

    refused = {
        image: row["reason"] for image, row in manifest.items() if row["decision"] == "quarantine"
    }
    betons = (trained.folder / "line/convert/betons").glob("*.index.parquet")
    converted = {image for index in betons for image in BETON_INDEX.read(index)["image_id"]}

    assert len(manifest) == len(CLASSES) * OF_A_CLASS
    assert {reason for reason in refused.values() if reason != "label_issue"} == set()
    assert converted == set(manifest)


def test_rotated_photographs_have_the_size_they_are_shown_in(
    trained: Checkout, photographs: Path
) -> None:
    from PIL import Image, ImageOps

    rotated = [
        (image, row) for image, row in read_manifest(trained.folder).items() if "/rotated_" in image
    ]

    assert len(rotated) == len(CLASSES)
    for image, row in rotated:
        member = image.partition("/")[2].replace("%20", " ")
        shown = ImageOps.exif_transpose(Image.open(photographs / member))
        assert (row["width_px"], row["height_px"]) == shown.size


def test_a_model_of_the_photographs_is_registered_and_names_one(
    trained: Checkout, photographs: Path
) -> None:
    (version,) = versions(trained)
    image = photographs / "meadow" / "large_10.jpg"

    said = trained.python(
        "flows.cli", "predict", str(image), "--version", str(version.number), check=False
    )

    assert version.metrics
    assert said.exit_code == 0, said.output
    assert re.search(r"large_10.jpg: (\w+ ?\w+) +\d+\.\d %  ", said.output)
    assert all(label in said.output for label in CLASSES)
