"""Sources as params.yaml states them: what is refused, and what is doubtful until it is stated."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline_lib.discover.params import DiscoverParams
from pipeline_lib.errors import OutputDamaged
from pipeline_lib.sources.source import read_sources
from tests.unit.discover.listed import Discover, write


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            {"name": "pics", "uri": "ftp://host/x"},
            "ftp:// cannot be read: name a local path, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or",
        ),
        (
            {"name": "pics", "uri": "abfss://images@account.dfs.core.windows.net/x"},
            r"abfss:// cannot be read: name az://container/prefix, and the account in settings.toml",
        ),
        ({"name": "pics", "uri": "gs:///x"}, "the bucket is missing"),
        ({"name": "pics", "uri": "s3://"}, "the bucket is missing"),
        ({"name": "My Pics", "uri": "x"}, "should match pattern"),
        (
            {"name": "pics", "uri": "x", "layout": "class_folders", "splits": {"dev": "val"}},
            "layout class_folders reads no splits",
        ),
        (
            {"name": "pics", "uri": "x", "splits": {"dev": "dev"}},
            "Input should be 'train', 'val' or 'test'",
        ),
        (
            {"name": "pics", "uri": "x", "layout": "folders"},
            "Input should be 'auto', 'class_folders'",
        ),
        (
            {"name": "pics", "uri": "x", "role": "unlabelled", "labels": "l.csv", "split": "test"},
            "role unlabelled: leave out labels and split, or leave out the role",
        ),
    ],
)
def test_a_source_that_cannot_be_is_refused(source: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DiscoverParams.model_validate({"sources": [source]})


def test_two_sources_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="two sources are named pics"):
        DiscoverParams.model_validate(
            {"sources": [{"name": "pics", "uri": "a"}, {"name": "pics", "uri": "b"}]}
        )


def test_a_damaged_sources_file_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "sources.json").write_text("{")

    with pytest.raises(
        OutputDamaged,
        match=r"sources.json: not a list of sources .*Remedy: run `dvc repro discover`",
    ):
        read_sources(tmp_path / "sources.json")


def test_doubtful_folders_are_warned_of_until_params_state_a_reading(
    discover: Discover, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("train/cat/1.jpg", "dev/cat/2.jpg", "docs/banner.png"):
        write(tmp_path / "pics" / name)

    listing = discover({"uri": "pics", "layout": "class_folders"})["listing"].read_bytes()
    [warning] = [record.message for record in caplog.records if record.levelname == "WARNING"]
    shutil.rmtree(tmp_path / ".perennial")
    caplog.clear()
    stated = discover({"uri": "pics", "layout": "class_folders", "splits": {}})[
        "listing"
    ].read_bytes()

    assert warning.startswith(
        "source pics: folders are named like splits (dev, train). They are read as class_folders"
    )
    assert (
        "split_class_folders: 1 classes: cat 2; splits train 1, val 1 (dev is val); 1 without a class"
        in warning
    )
    assert (
        "(layout: split_class_folders, splits: {dev: val, train: train}, for example; `splits: {}` if no"
        in warning
    )
    assert not caplog.records
    assert stated == listing


def test_a_doubt_is_warned_of_once_and_again_when_it_is_another_one(
    discover: Discover, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a params.yaml of an earlier release has it: a layout in doubt that nobody stated."""
    for name in ("train/cat/1.jpg", "dev/cat/2.jpg"):
        write(tmp_path / "pics" / name)

    def warnings() -> list[str]:
        caplog.clear()
        discover({"uri": "pics"})
        return [record.message for record in caplog.records if record.levelname == "WARNING"]

    first = warnings()
    write(tmp_path / "pics" / "train/cat/3.jpg")
    more_images = warnings()
    write(tmp_path / "pics" / "testing/cat/4.jpg")
    more_folders = warnings()

    assert len(first) == 1
    assert more_images == []
    assert len(more_folders) == 1
    assert "(dev, testing, train)" in more_folders[0]
    assert warnings() == []


def test_numbered_archives_are_warned_of_by_their_names(
    discover: Discover, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        write(tmp_path / "pics" / f"{number:06}.tar")

    discover({"uri": "pics"})

    assert (
        "the archives are numbered like parts of one data set (000000, 000001, 000002)"
        in caplog.text
    )
