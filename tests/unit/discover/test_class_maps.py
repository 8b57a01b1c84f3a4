"""Class maps of extra test sets: read when sources are listed, from a file or from params.yaml itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline_lib.discover.params import DiscoverParams
from pipeline_lib.errors import BadData, SourceMissing
from pipeline_lib.sources.source import read_sources

Discover = Callable[..., dict[str, Path]]


@pytest.fixture(autouse=True)
def images(tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics/1.jpg").write_bytes(b"1")


def test_a_class_map_is_read_into_the_sources(discover: Discover, tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text("\ufeffreceived,class\nMieze, cat\nKuh,\n\n")

    written = discover({"uri": "pics", "role": "test", "class_map": "map.csv"})

    assert read_sources(written["sources"])[0].class_map == {"Mieze": "cat", "Kuh": None}


def test_a_changed_class_map_changes_what_later_stages_read(
    discover: Discover, tmp_path: Path
) -> None:
    source = {"uri": "pics", "role": "test", "class_map": "map.csv"}
    (tmp_path / "map.csv").write_text("received,class\na,b\n")
    before = discover(source)["sources"].read_text()
    (tmp_path / "map.csv").write_text("received,class\na,c\n")

    written = discover(source, refresh="never")

    assert written["sources"].read_text() != before
    assert read_sources(written["sources"])[0].class_map == {"a": "c"}


def test_numbers_in_params_are_names_of_folders(discover: Discover) -> None:
    written = discover({"uri": "pics", "role": "test", "class_map": {0: "tench", 1: None}})

    assert read_sources(written["sources"])[0].class_map == {"0": "tench", "1": None}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,class\na,b\n", "map.csv:1: the columns are wrong (found: name,class)"),
        ("", "map.csv:1: the columns are wrong"),
        ("received,class\na,b\na,c\n", "map.csv:3: named twice (found: a,c)"),
        ("received,class\na\n", "map.csv:2: not a line `received,class` (found: a)"),
        ("received,class\n,b\n", "map.csv:2: not a line `received,class` (found: ,b)"),
        ('received,class\n"a,b\n', "map.csv:2: not CSV"),
    ],
)
def test_a_file_that_is_no_class_map_is_named_with_its_line(
    discover: Discover, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "map.csv").write_text(text)

    with pytest.raises(BadData, match=re.escape(said)):
        discover({"uri": "pics", "role": "test", "class_map": "map.csv"})


def test_a_class_map_that_is_absent_is_named(discover: Discover) -> None:
    with pytest.raises(SourceMissing, match=r"map\.csv"):
        discover({"uri": "pics", "role": "test", "class_map": "map.csv"})


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"class_map": "map.csv"}, "class_map: only of an extra test set, so add role: test"),
        ({"restrict_to_its_classes": False}, "restrict_to_its_classes: only of an extra test set"),
        (
            {"role": "test", "split": "test", "votes": "v.csv"},
            "role test: leave out split and votes, or leave out the role (split: test puts images into the plain test split)",
        ),
        (
            {"labels": {"format": "imagenet_real", "file": "real.json"}},
            "imagenet_real has several right classes per image, which can be tested, not trained on: add role: test",
        ),
        ({"role": "unlabelled", "class_map": {"a": "b"}}, "role unlabelled: leave out class_map"),
        ({"role": "tests"}, "Input should be 'unlabelled' or 'test'"),
    ],
)
def test_keys_that_do_not_fit_the_role_are_refused(keys: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        DiscoverParams.model_validate({"sources": [{"name": "pics", "uri": "pics", **keys}]})


def test_keys_of_extra_test_sets_do_not_change_the_text_of_other_sources(
    discover: Discover,
) -> None:
    text = discover({"uri": "pics", "labels": {"inside": ["*.csv"]}})["sources"].read_text()

    assert not {"class_map", "other_classes", "restrict_to_its_classes"} & set(
        re.findall(r"\w+", text)
    )
