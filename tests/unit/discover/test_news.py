"""What is new in the sources is told by source and class, and nothing is moved for it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.cli import main
from pipeline_lib.discover import news
from pipeline_lib.discover.listing import Listed, list_sources
from pipeline_lib.discover.news import News, news_of, sentences
from pipeline_lib.settings import Settings
from pipeline_lib.sources import known_files
from pipeline_lib.sources.source import Source
from testing.sources import tar_of


@pytest.fixture(autouse=True)
def no_clock_grain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_files, "CLOCK_GRAIN_NS", -1)


def fill(folder: Path, **classes: int) -> Path:
    for name, count in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for n in range(count):
            (folder / name / f"{n:03d}.jpg").write_bytes(f"{name} {n}".encode())
    return folder


def test_millions_of_objects_are_compared_part_by_part_and_counted_as_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pics = fill(tmp_path / "pics", cats=40, dogs=30)
    source = Source.model_validate({"name": "pics", "uri": "pics", "class_from": "{class}/*"})
    before = list_sources((source,), Settings(workers=2), root=tmp_path).frame
    shutil.rmtree(pics / "cats")
    fill(pics, owls=20)
    for n in range(10):
        (pics / "dogs" / f"{n:03d}.jpg").write_bytes(b"another dog")
    now = list_sources((source,), Settings(workers=2), root=tmp_path)
    at_once = news_of([source], before, now)

    monkeypatch.setattr(news, "BATCH_ROWS", 7)

    assert news_of([source], before, now) == at_once
    [told] = at_once
    assert (told.added, told.replaced, told.withdrawn) == ({"owls": 20}, {"dogs": 10}, {"cats": 40})


def test_added_replaced_withdrawn_and_touched_objects_are_counted_by_class(tmp_path: Path) -> None:
    pics = fill(tmp_path / "pics", cats=4, dogs=5)
    tar_of(pics / "more.tar", {"a.jpg": b"1"})
    (tmp_path / "votes.csv").write_text("member,annotator,label\n")
    source = Source.model_validate({"name": "pics", "uri": "pics", "votes": "votes.csv"})

    def listed() -> Listed:
        return list_sources((source,), Settings(workers=2), root=tmp_path)

    first = listed()
    [none] = news_of([source], first.frame, listed())
    (pics / "cats" / "000.jpg").write_bytes(b"another cat")
    (pics / "dogs" / "000.jpg").unlink()
    os.utime(pics / "dogs" / "001.jpg")
    fill(pics, owls=2)
    (pics / "owls" / "notes.txt").write_text("two owls")
    tar_of(pics / "more.tar", {"a.jpg": b"2"})
    (tmp_path / "votes.csv").write_text("member,annotator,label\ncats/001.jpg,ann,cats\n")

    [told] = news_of([source], first.frame, listed())

    assert none.is_none and sentences([none]) == ["source pics: nothing new in 10 objects"]
    assert told == News(
        source="pics",
        n_objects=12,
        is_first=False,
        added={"owls": 2, "(no image by its name)": 1},
        replaced={"(archives)": 1, "cats": 1},
        withdrawn={"dogs": 1},
        touched={"dogs": 1},
        tables=("votes",),
    )
    assert sentences([told]) == [
        "source pics: 3 added (owls 2, (no image by its name) 1); 2 replaced ((archives) 1, cats 1); 1 withdrawn (dogs 1); "
        "1 only touched (dogs 1); another file of votes"
    ]
    [begun] = news_of([source], None, listed())
    assert begun.is_first and sentences([begun]) == [
        "source pics: 12 objects, all new (cats 4, dogs 4, owls 2, (archives) 1, (no image by its name) 1)"
    ]


def test_the_stage_says_what_is_new(
    discover: Callable[..., dict[str, Path]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    fill(tmp_path / "pics", cats=2, dogs=1)

    discover({"uri": "pics"})

    assert "source pics: 3 objects, all new (cats 2, dogs 1)" in caplog.text
    assert "3 new or touched files, 18 bytes, are read to know them again" in caplog.text


def test_the_command_tells_what_the_next_run_will_find_and_moves_nothing(
    discover: Callable[..., dict[str, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill(tmp_path / "pics", cats=2)
    discover({"uri": "pics"})
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump({"discover": {"sources": [{"name": "pics", "uri": "pics"}]}})
    )
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    before = contents(tmp_path / "line")
    fill(tmp_path / "pics", dogs=3)
    monkeypatch.chdir(tmp_path)

    assert main(["discover"]) == 0
    assert capsys.readouterr().out == (
        "source pics: 3 added (dogs 3)\nsince the last run's listing: 0.0 h ago\n"
    )
    assert main(["discover", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sources"][0]["added"] == {"dogs": 3} and told["hours_since"] == 0.0
    assert contents(tmp_path / "line") == before
    shutil.rmtree(tmp_path / "pics")
    assert main(["discover"]) == 66
    assert "pics: no such file or folder" in capsys.readouterr().err


def contents(folder: Path) -> dict[str, Any]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
