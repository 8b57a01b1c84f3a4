"""Files, folders and archives that may not be read, or lead nowhere."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline_lib.errors import BadData
from pipeline_lib.sources.local import LocalPlace
from pipeline_lib.tables.listing import LISTING
from tests.unit.discover.listed import Discover, rows, write


def faults(listing: Path) -> dict[str, str]:
    frame = LISTING.read(listing).dropna(subset="fault")
    return dict(zip(frame["key"], frame["fault"], strict=True))


def test_a_file_that_cannot_be_read_is_listed_with_why_and_the_others_are_taken(
    discover: Discover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pics = tmp_path / "pics"
    write(pics / "a" / "1.jpg")
    secret = write(pics / "a" / "secret.jpg")
    (pics / "a" / "nowhere.jpg").symlink_to(tmp_path / "gone.jpg")
    (pics / "a" / "itself.jpg").symlink_to(pics / "a" / "itself.jpg")
    (pics / "a" / "again").symlink_to(pics)
    write(tmp_path / "elsewhere" / "2.jpg")
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "elsewhere")
    (pics / "b").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(pics / "a" / "pipe.jpg")
    monkeypatch.setattr(os, "access", lambda path, mode: path != secret)  # root may read everything

    listing = discover({"uri": "pics"})["listing"]

    assert faults(listing) == {
        "a/again": "broken_link",
        "a/itself.jpg": "broken_link",
        "a/nowhere.jpg": "broken_link",
        "a/pipe.jpg": "unreadable_file",
        "a/secret.jpg": "unreadable_file",
        "b/round": "broken_link",
    }
    assert {key for _, key, _ in rows(listing)} - set(faults(listing)) == {"a/1.jpg", "b/2.jpg"}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user of the machine may enter, as pytest's own may not be."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def listed_by_another_user(folder: Path) -> list[tuple[str, str | None]]:
    """(key, fault) of all that a place lists; by another user where we are root, who may read everything."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            answer = [(one.key, one.fault) for one in LocalPlace("pics", folder).list()]
        except BaseException as error:
            answer = [(repr(error), None)]
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        return sorted((key, fault) for key, fault in json.load(pipe))


def test_a_folder_that_may_not_be_read_is_listed_as_one_fault_and_the_others_are_taken(
    open_folder: Path,
) -> None:
    for name in ("cats/1.jpg", "dogs/deep/2.jpg", "owls/3.jpg", "owls/inside/4.jpg"):
        write(open_folder / "pics" / name)
    (open_folder / "pics" / "dogs" / "deep").chmod(0)
    (open_folder / "pics" / "owls").chmod(0o444)  # its names may be read, and nothing behind them

    found = listed_by_another_user(open_folder / "pics")

    (open_folder / "pics" / "owls").chmod(0o755)
    (open_folder / "pics" / "dogs" / "deep").chmod(0o755)
    assert found == [
        ("cats/1.jpg", None),
        ("dogs/deep", "unreadable_folder"),
        ("owls/3.jpg", "unreadable_file"),
        ("owls/inside", "unreadable_folder"),
    ]


@pytest.mark.parametrize("closed", ["pics", "pics/inside"])
def test_a_source_that_may_not_be_read_at_all_is_named_with_the_remedy(
    open_folder: Path, closed: str
) -> None:
    write(open_folder / "pics" / "inside" / "1.jpg")
    (open_folder / closed).chmod(0)

    [(error, _)] = listed_by_another_user(open_folder / "pics" / "inside")

    (open_folder / closed).chmod(0o755)
    assert re.match(r"ObjectRefused\(.*not allowed to read it .*Remedy: chmod u\+rX", error)


def test_an_archive_that_cannot_be_read_stops_the_run(discover: Discover, tmp_path: Path) -> None:
    write(tmp_path / "pics" / "1.jpg")
    (tmp_path / "pics" / "more.tar").symlink_to(tmp_path / "gone.tar")

    with pytest.raises(
        BadData,
        match=r"pics/more.tar: it cannot be read \(found: broken_link\). Remedy: remove it, f",
    ):
        discover({"uri": "pics"})
