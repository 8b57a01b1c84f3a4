"""`perennial init --extra-test NAME=PATH`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.cli.parser import main
from pipeline_lib.params import load_params
from scripts.odd_folders import below
from testing.curated import write_source


@pytest.fixture(autouse=True)
def photos(project: Path) -> None:
    write_source(project / "photos", dict.fromkeys(below("cat", "dog", n=6)))


def test_a_set_is_surveyed_and_written_as_a_source_of_its_own(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"2024/{name}/{n}.jpg" for name in ("cat", "Hund") for n in range(4)]
    write_source(project / "phone", dict.fromkeys(names))

    assert main(["init", "photos", "--force", "--extra-test", "phone=phone"]) == 0

    out = capsys.readouterr().out
    assert "extra    phone: 8 images, 2 classes\n" in out
    assert (
        "note     1 of 2 classes of the extra test set phone are no classes of training (Hund"
        in out
    )
    plain, phone = load_params(project / "params.yaml").discover.sources
    assert (plain.role, plain.uri) == (None, "photos")
    assert (phone.name, phone.uri, phone.role, phone.depth) == ("phone", "phone", "test", 1)


def test_the_labels_of_real_are_recognised_beside_imagenets_validation_images(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"ILSVRC2012_val_{n:08d}.JPEG" for n in range(1, 5)]
    write_source(project / "val", dict.fromkeys(names))
    (project / "val/real.json").write_text(json.dumps([[1], [1, 2], [], [3]]))

    assert main(["init", "photos", "--force", "--extra-test", "real=val"]) == 0

    assert "extra    real: 4 images, 3 classes\n" in capsys.readouterr().out
    real = load_params(project / "params.yaml").discover.sources[1]
    assert real.labels_stated and real.labels_stated.format == "imagenet_real"
    assert real.label_separator == "|"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("phone", "phone: no such file or folder"),
        ("phone=", "no place is named (found: phone=). Remedy: write a folder"),
        ("phone=nowhere", "nowhere"),
        ("My Phone=photos", "not the name of a source (found: My Phone). Remedy: use small letters"),
        ("pictures=phone", "two sources are named pictures"),
    ],
)  # fmt: skip
def test_what_is_no_set_is_refused_and_nothing_is_written(
    project: Path, capsys: pytest.CaptureFixture[str], given: str, said: str
) -> None:
    before = (project / "params.yaml").read_bytes()

    assert main(["init", "photos", "--force", "--extra-test", given]) != 0

    assert said in capsys.readouterr().err
    assert (project / "params.yaml").read_bytes() == before
