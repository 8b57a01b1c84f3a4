"""Files that change, go or refuse after they were listed; a disk that is full."""

from __future__ import annotations

import errno
import os
import re
import resource
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.download.store import require_space
from pipeline_lib.errors import (
    BadData,
    CredentialsRefused,
    DataCheckFailed,
    NoSpace,
    SourceChanged,
    SourceMissing,
)
from pipeline_lib.sources.local import LocalPlace
from pipeline_lib.sources.objects import SourceObject
from testing.curated import write_files
from testing.sources import SMALL_SHARDS, Take, images, tar_of


def test_a_limit_on_the_size_of_files_stops_the_run_in_one_line_and_the_next_goes_on(
    take: Take, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    write_files(tmp_path / "pics", images(60))
    tar_of(tmp_path / "large.tar", images(4, size_bytes=60_000))
    sources = ({"uri": "pics"}, {"uri": "large.tar", "name": "large"})
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, unlimited[1]))  # as `ulimit -f`
    try:
        with pytest.raises(NoSpace, match=r"shards: a file became larger than is allowed .*ulimit"):
            take(*sources)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)

    assert list((tmp_path / "out").iterdir()) == []
    assert len(take(*sources).members) == 64
    assert int(re.findall(r"(\d+) units from the memo", caplog.text)[-1]) > 3


def test_a_file_that_changed_after_it_was_listed_is_not_taken(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.jpg": b"1"})
    place = LocalPlace("pics", tmp_path)
    [listed] = place.list()
    (tmp_path / "a.jpg").write_bytes(b"22")

    with pytest.raises(
        BadData,
        match=r"a.jpg: the file changed after it was listed .*Remedy: run again: `dvc repro`",
    ):
        place.read(listed)


@pytest.mark.parametrize("changes", [1, 2, 3])
def test_a_file_that_changes_while_it_is_read_is_read_again_a_few_times(
    take: Take,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    changes: int,
) -> None:
    write_files(tmp_path / "pics", {"cats/a.jpg": b"1", "cats/b.jpg": b"2"})
    left, read = [bytes([51 + n]) for n in range(changes)], LocalPlace.read

    def change_and_read(place: LocalPlace, wanted: SourceObject) -> bytes:
        if wanted.key == "cats/a.jpg" and left:  # of the same size, and within the same tick
            (tmp_path / "pics/cats/a.jpg").write_bytes(left.pop(0))
        return read(place, wanted)

    monkeypatch.setattr(LocalPlace, "read", change_and_read)

    if changes == 3:
        with pytest.raises(
            SourceChanged, match=r"a.jpg: the file changed after it was listed .*Remedy: run again"
        ):
            take({"uri": "pics"})
        return
    # else DVC would know these bytes by the listing of the old ones, and bring them back should those return
    with pytest.raises(
        SourceChanged,
        match=r"cats/a.jpg: the source changed during the run \(found: 1 objects differ",
    ):
        take({"uri": "pics"}, out="first")

    assert (
        caplog.text.count(
            "cats/a.jpg: the file changed after it was listed; its present version is read"
        )
        == changes
    )
    assert not (tmp_path / "first" / "members.parquet").exists()
    assert take({"uri": "pics"}, out="next").read("pics/cats/a.jpg") == bytes([50 + changes])


def test_a_file_that_outgrows_the_limit_while_it_is_read_is_left_to_the_next_listing(
    take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path / "pics", {"cats/a.jpg": b"1", "cats/b.jpg": b"2"})
    params = SMALL_SHARDS.model_copy(update={"max_file_bytes": 100})
    read = LocalPlace.read

    def grow_and_read(place: LocalPlace, wanted: SourceObject) -> bytes:
        assert wanted.size_bytes <= params.max_file_bytes
        (tmp_path / "pics/cats/a.jpg").write_bytes(bytes(101))
        return read(place, wanted)

    monkeypatch.setattr(LocalPlace, "read", grow_and_read)

    with pytest.raises(
        SourceChanged, match=r"a.jpg: the file changed after it was listed .*Remedy: run again"
    ):
        take({"uri": "pics"}, params=params)
    monkeypatch.undo()
    members = take({"uri": "pics"}, params=params).members

    assert members["refusal"].fillna("").to_dict() == {
        "pics/cats/a.jpg": "file_too_large",
        "pics/cats/b.jpg": "",
    }


def test_a_file_that_went_after_it_was_listed_is_named(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.jpg": b"1"})
    place = LocalPlace("pics", tmp_path)
    [listed] = place.list()
    (tmp_path / "a.jpg").unlink()

    with pytest.raises(BadData, match=r"a.jpg: the file disappeared after it was listed"):
        place.read(listed)


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (errno.EACCES, CredentialsRefused, r"a.jpg: not allowed to read it .*Remedy: chmod u\+rX"),
        (
            errno.EIO,
            SourceMissing,
            r"a.jpg: cannot be read \(found: Input/output error\). Remedy: check the disk",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[Exception],
    message: str,
) -> None:
    write_files(tmp_path, {"a.jpg": b"1"})
    place = LocalPlace("pics", tmp_path)
    [listed] = place.list()

    def fail(path: Path, *_: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "open", fail)  # the test may run as root, who may read everything
    with pytest.raises(kind, match=message):
        place.read(listed)


@pytest.mark.parametrize("n_refused", [2, 3])
def test_files_that_may_not_be_read_are_quarantined_by_name_until_they_are_too_many(
    take: Take,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    n_refused: int,
) -> None:
    """As on a network disk that lets root list and not read: what is refused shows only when it is opened."""
    write_files(tmp_path / "pics", images(10))
    open_file = Path.open
    refused = {f"{n:04d}.jpg" for n in range(n_refused)}

    def refuse(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name in refused:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open_file(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", refuse)
    if n_refused == 3:
        expected = r"3 of 10 files are unreadable, 2 are allowed \(found: pics/0/0000.jpg \(unreadable_file\), .*chmod"
        with pytest.raises(DataCheckFailed, match=expected):
            take({"uri": "pics"})
        return
    members = take({"uri": "pics"}).members
    monkeypatch.undo()
    after = take({"uri": "pics"}).members

    assert members["refusal"].dropna().to_dict() == dict.fromkeys(
        ["pics/0/0000.jpg", "pics/1/0001.jpg"], "unreadable_file"
    )
    assert re.search(
        r"2 objects are unreadable: 0/0000.jpg, 1/0001.jpg; they are quarantined", caplog.text
    )
    assert after["refusal"].isna().all()  # a refusal is in no memo


def test_too_little_space_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(
        NoSpace,
        match=r"1000000000000000000 bytes must be fetched \(found: \d+ bytes left\). Remedy: free \d+ bytes",
    ):
        require_space(tmp_path, 10**18)


def test_a_failed_run_leaves_no_half_written_shards(take: Take, tmp_path: Path) -> None:
    write_files(tmp_path / "pics", images(60))
    good = take({"uri": "pics"}).bytes_by_file()
    tar_of(tmp_path / "pics" / "broken.tar", {"a.jpg": bytes(3000)})
    (tmp_path / "pics" / "broken.tar").write_bytes(
        (tmp_path / "pics" / "broken.tar").read_bytes()[:2000]
    )

    with pytest.raises(BadData):
        take({"uri": "pics"})

    assert {
        name: data for name, data in take_files(tmp_path / "out").items() if "partial" not in name
    } == good


def take_files(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_missing_source_is_found_out_at_once() -> None:
    with pytest.raises(
        SourceMissing,
        match=r"gone: no such file or folder \(found: looked at /nowhere/gone\). Remedy: fix",
    ):
        LocalPlace("gone", Path("/nowhere/gone"))
