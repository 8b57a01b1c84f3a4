"""`perennial init` with several sources: their names and roles, what stays of params.yaml, what is refused."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from flows.cli.parser import main
from flows.cli.sources_named import NamedSource, kept_sources, named_sources
from pipeline_lib.errors import UsageError
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.params import load_params
from pipeline_lib.survey import earlier_sources
from scripts.odd_folders import below
from testing.curated import write_source

HAND_WRITTEN = """\
discover:
  sources:
  - name: studio   # of 2024
    uri: a/studio
    layout: class_folders
    votes: votes.csv
  # the camera at the gate
  - {name: night, uri: night, role: unlabelled}
  - name: phone
    uri: phone
    role: test
    class_map:  # of the shop
      Hund: dog
      junk:

download: {}
inspect: {}
curate: {}
convert: {}
train: {}
evaluate: {}
register: {}
"""


def options(*source: str, **said: Any) -> argparse.Namespace:
    usual = {"name": None, "labels": None, "include": None, "exclude": None, "add": False}
    return argparse.Namespace(
        **{"source": list(source), "unlabelled": [], "extra_test": [], **usual, **said}
    )


def named(origin: Path, *source: str, **said: Any) -> list[NamedSource]:
    return named_sources(options(*source, **said), earlier_sources(origin / "params.yaml"), origin)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_names_come_from_the_ends_of_addresses_in_whatever_order_they_are_named(here: Path) -> None:
    places = ["a/Photos 2024", "b/Photos 2024", "s3://cameras/night/", "https://h.example/x/web.tar.gz?v=1"]  # fmt: skip

    names = {one.uri: one.name for one in named(here, *places)}
    again = {one.uri: one.name for one in named(here, *reversed(places))}

    assert names == again
    assert list(names.values()) == ["a-photos-2024", "b-photos-2024", "night", "web"]
    assert [one.name for one in named(here, "a/x", unlabelled=["s3://b/x"])] == ["pictures", "x"]


def test_a_name_is_said_or_stays_what_it_is_in_params(here: Path) -> None:
    (here / "params.yaml").write_text(HAND_WRITTEN)
    (here / "size=9").mkdir()

    assert [one.name for one in named(here, "a/studio")] == ["studio"]
    assert [one.name for one in named(here, "other")] == ["pictures"]
    assert [one.name for one in named(here, "b/studio", add=True)] == ["b-studio"]
    found = named(here, "web=https://h.example/?a=b", "size=9", extra_test=["phone"])
    assert [(one.name, one.uri, one.role) for one in found] == [
        ("web", "https://h.example/?a=b", None),
        ("size-9", "size=9", None),
        ("phone", "phone", "test"),
    ]


@pytest.mark.parametrize(
    ("source", "said", "message"),
    [
        (["a", "./a/"], {}, "./a/: the same place twice|a: the same place twice"),
        (["a"], {"extra_test": ["x=a"]}, r"a: the same place twice \(found: x=a\)"),
        (["s3://b/set"], {"unlabelled": ["s3://b/set/"]}, "the same place twice"),
        (["data"], {"extra_test": ["data/test"]}, r"in data\). Remedy: .*`--exclude '/test'`"),
        (["s3://b"], {"unlabelled": ["s3://b/new"]}, "a place within another"),
        (["x=a", "x=b"], {}, r"two sources are named x \(found: x=a and x=b\)"),
        (["a", "b"], {"name": "x"}, r"--name says something of one source, and 2 .*NAME=PLACE"),
        (["a", "b"], {"labels": "l.csv"}, "--labels says .*`perennial init --add PLACE`"),
        (["X=a"], {}, r"not the name of a source \(found: X\)"),
        (["x="], {}, "no place is named"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_read(
    here: Path, source: list[str], said: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        named(here, *source, **said)


def test_places_that_look_alike_are_two_and_patterns_are_a_persons_word(here: Path) -> None:
    assert len(named(here, "data", "data2", "s3://b/set", "s3://b/set2", "gs://b/set")) == 5
    assert len(named(here, "data", extra_test=["data/test"], exclude=["/test"])) == 2


def test_the_sources_that_stay_keep_their_text_and_may_not_hold_what_is_named(here: Path) -> None:
    (here / "params.yaml").write_text(HAND_WRITTEN)
    earlier = earlier_sources(here / "params.yaml")

    kept = kept_sources(named(here, "a/studio"), earlier, here)

    assert [one.name for one in kept] == ["night", "phone"]
    assert kept[0].text == "    - {name: night, uri: night, role: unlabelled}\n"
    assert kept[1].text == (
        "    - name: phone\n      uri: phone\n      role: test\n"
        "      class_map:  # of the shop\n        Hund: dog\n        junk:\n"
    )
    with pytest.raises(UsageError, match=r"night/june: .*in night \(night, unlabelled\) of params"):
        kept_sources(named(here, "night/june", add=True), earlier, here)


def test_entries_that_are_no_lines_of_their_own_are_written_anew(here: Path) -> None:
    (here / "params.yaml").write_text("discover: {sources: [{name: a, uri: 'x: y', splits: {}}]}\n")

    (only,) = earlier_sources(here / "params.yaml")

    assert only.text == '    - name: "a"\n      uri: "x: y"\n      splits: {}\n'


@pytest.fixture
def photos(project: Path) -> Path:
    for name in ("a/studio", "b/studio", "night", "phone"):
        write_source(project / name, dict.fromkeys(below("cat", "dog", n=6)))
    write_source(project / "b/studio", {"Fox/1.png": None})
    return project


def entries(project: Path) -> list[dict[str, Any]]:
    load_params(project / "params.yaml")
    return list(read_yaml(project / "params.yaml")["discover"]["sources"])


def test_several_sources_are_written_kept_and_added_to(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line of commands, as a user types them."""
    words = ["init", "a/studio", "b/studio", "--unlabelled", "night", "--extra-test", "phone"]

    assert main([*words, "--force"]) == 0
    out = capsys.readouterr().out
    assert [(one["name"], one.get("role")) for one in entries(photos)] == [
        ("a-studio", None),
        ("b-studio", None),
        ("night", "unlabelled"),
        ("phone", "test"),
    ]
    assert "together 25 images of 2 sources, 3 classes: Fox 1, cat 12, dog 12\n" in out
    assert "note     only b-studio has Fox\n" in out
    assert "replaced digits (demo/out/digits.tar): not named, and these are other data\n" in out
    text = (photos / "params.yaml").read_text()

    assert main(["init", "a/studio"]) == 0
    out = capsys.readouterr().out
    assert (photos / "params.yaml").read_text() == text
    assert "together 25 images of 2 sources" in out
    assert "kept     night (night, unlabelled): as params.yaml has it\n" in out
    assert "replaced" not in out and "model    a-studio: as before" in out

    write_source(photos / "new", dict.fromkeys(below("cat", "dog", n=6)))
    assert main(["init", "--add", "new", "--layout", "flat"]) == 0
    assert "together 37 images of 3 sources" in capsys.readouterr().out
    before = text[text.index("    - name: ") : text.index("\ndownload:")]
    assert before in (photos / "params.yaml").read_text()
    assert (entries(photos)[4]["name"], entries(photos)[4]["layout"]) == ("new", "flat")

    assert main(["init", "x=night"]) == 0
    out = capsys.readouterr().out
    assert "replaced night (night, unlabelled): called x now\n" in out
    assert "replaced a-studio (a/studio): not named, and these are other data\n" in out
    assert "(`perennial init --add PLACE` keeps what params.yaml has)\n" in out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["a/studio", "nowhere"], 66, "nowhere: no such file or folder"),
        (["--unlabelled", "night"], 2, "no source of labelled images is named. Remedy: name a place"),
        ([], 2, "no source of labelled images is named"),
        (["--add", "a/studio", "--unlabelled", "a/studio/cat"], 2, "a place within another"),
    ],
)  # fmt: skip
def test_nothing_is_written_when_one_of_several_cannot_be_read_or_none_is_labelled(
    photos: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    before = (photos / "params.yaml").read_bytes()

    assert main(["init", *words, "--force"]) == code

    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    assert (photos / "params.yaml").read_bytes() == before


def test_what_a_person_wrote_of_a_source_stays_when_it_is_surveyed_again(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "params.yaml").write_text(HAND_WRITTEN)

    assert main(["init", "a/studio", "--extra-test", "phone", "--force"]) == 0

    studio, night, phone = entries(photos)
    assert (studio["name"], studio["votes"]) == ("studio", "votes.csv")
    assert night["role"] == "unlabelled"
    assert phone["class_map"] == {"Hund": "dog", "junk": None}
    assert "no longer read" not in capsys.readouterr().out


def test_a_doubt_of_one_of_several_names_the_command_that_keeps_the_others(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{split}/{label}/1.png" for split in ("train", "dev") for label in ("cat", "dog")]
    write_source(photos / "odd", {**dict.fromkeys(names), "extra/1.png": None})

    assert main(["init", "a/studio", "odd", "--force"]) == 2
    err = capsys.readouterr().err
    assert "odd: in doubt" in err
    assert "`perennial init odd --layout NAME`" in err
    assert "; then the others: `perennial init --add PLACE`" in err

    assert main(["init", "a/studio", "--extra-test", "odd", "--force"]) == 2
    assert (
        "first `perennial init` without it; then choose one: `perennial init --add --extra-test odd=odd --layout NAME`"
        in capsys.readouterr().err
    )
