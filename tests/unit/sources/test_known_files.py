"""Local files are known again by a stat, and read again whenever their bytes may be others."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from pipeline_lib.errors import BadData, SourceChanged
from pipeline_lib.sources import known_files
from pipeline_lib.sources.known_files import KnownFiles
from pipeline_lib.sources.local import LocalPlace


class Folder:
    """A folder of files that are long written, and what each listing of it read."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.read = path, [0, 0]
        self.known = path.parent / "known.parquet"
        monkeypatch.setattr(known_files, "CLOCK_GRAIN_NS", -1)  # no test waits two seconds

    def write(self, name: str, data: bytes) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return file

    def list(self) -> dict[str, str | None]:
        """name -> sha256, from a new process's view; `read` then has the number of files and bytes that it read."""
        place = LocalPlace("pics", self.path, KnownFiles(self.known))
        found = place.identify(list(place.list()), workers=2, begin=self._begin)
        self.found = {one.object.key: one for one in found}
        return {key: one.object.sha256 for key, one in self.found.items()}

    def touched(self) -> set[str]:
        return {key for key, one in self.found.items() if one.was_touched}

    def _begin(self, n_files: int, size_bytes: int):  # type: ignore[no-untyped-def]
        self.read = [n_files, size_bytes]
        return lambda _: None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    return Folder(tmp_path / "pics", monkeypatch)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_file_is_read_once_and_a_touched_one_once_more(folder: Folder) -> None:
    file = folder.write("a.jpg", b"12")
    folder.write("b/c.jpg", b"345")
    expected = {"a.jpg": sha256(b"12"), "b/c.jpg": sha256(b"345")}

    assert (folder.list(), folder.read) == (expected, [2, 5])
    assert (folder.list(), folder.read) == (expected, [0, 0])
    os.utime(file)
    assert (folder.list(), folder.read, folder.touched()) == (expected, [1, 2], {"a.jpg"})
    assert (folder.list(), folder.read, folder.touched()) == (expected, [0, 0], set())


def test_other_bytes_of_the_same_size_and_date_are_found(folder: Folder) -> None:
    """As `cp -p` and `rsync --times` write them."""
    file = folder.write("a.jpg", b"12")
    os.utime(file, ns=(5, 7))
    folder.list()
    file.write_bytes(b"34")
    os.utime(file, ns=(5, 7))

    assert folder.list() == {"a.jpg": sha256(b"34")}
    assert not folder.touched()


def test_a_copy_of_the_folder_is_read_once_and_is_the_same(folder: Folder) -> None:
    for n in range(5):
        folder.write(f"{n}.jpg", bytes([n]))
    before = folder.list()
    shutil.copytree(folder.path, folder.path.with_name("copy"))
    shutil.rmtree(folder.path)
    folder.path.with_name("copy").rename(folder.path)

    assert (folder.list(), folder.read) == (before, [5, 5])
    assert len(folder.touched()) == 5


def test_a_file_that_changed_just_before_it_was_read_is_read_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second change within one tick of the clock would leave size, dates and inode as they are."""
    monkeypatch.setattr(known_files, "CLOCK_GRAIN_NS", 3_600_000_000_000)
    folder.write("a.jpg", b"12")

    folder.list()
    folder.list()

    assert folder.read == [1, 2]


def test_what_is_remembered_may_be_damaged_or_gone(folder: Folder) -> None:
    folder.write("a.jpg", b"12")
    expected = folder.list()
    folder.known.write_bytes(b"PAR1 and then nothing")
    assert (folder.list(), folder.read) == (expected, [1, 2])
    folder.known.unlink()
    assert (folder.list(), folder.read) == (expected, [1, 2])


def test_a_withdrawn_file_is_forgotten_and_one_that_vanishes_while_listing_is_left_out(
    folder: Folder,
) -> None:
    folder.write("a.jpg", b"12")
    file = folder.write("b.jpg", b"34")
    folder.list()
    place = LocalPlace("pics", folder.path, KnownFiles(None))
    listed = list(place.list())
    file.unlink()

    found = place.identify(listed, workers=1, begin=lambda *_: lambda _: None)

    assert [one.object.key for one in found] == ["a.jpg"]
    assert set(folder.list()) == {"a.jpg"}
    assert set(KnownFiles(folder.known)._by_key) == {"a.jpg"}


def test_a_file_that_is_being_written_is_read_again_a_few_times_and_then_named(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder.write("a.jpg", b"12")
    grows = iter([b"345", b"6789"])

    real = hashlib.sha256

    class Watched:
        """Changes the file each time its bytes have been read."""

        def __init__(self) -> None:
            self.sha256 = real()

        def update(self, data: bytes) -> None:
            self.sha256.update(data)
            if more := next(grows, None):
                file.write_bytes(more)

        def hexdigest(self) -> str:
            return self.sha256.hexdigest()

    monkeypatch.setattr("pipeline_lib.sources.known_files.hashlib.sha256", Watched)
    found = folder.list()
    assert found == {"a.jpg": real(b"6789").hexdigest()}
    assert folder.found["a.jpg"].object.size_bytes == 4
    grows = iter([b"333", b"22", b"1"])
    folder.known.unlink()

    with pytest.raises(
        SourceChanged,
        match=r"a.jpg: the file changed 3 times while it was read .* run again when it is no longer",
    ):
        folder.list()


def test_an_object_is_given_as_listed_or_not_at_all(folder: Folder) -> None:
    file = folder.write("a.jpg", b"12")
    place = LocalPlace("pics", folder.path, KnownFiles(folder.known))
    [listed] = [
        one.object
        for one in place.identify(list(place.list()), workers=1, begin=lambda *_: lambda _: None)
    ]
    os.utime(file)

    assert place.read(listed) == b"12"
    assert place.local_path(listed) == file
    file.write_bytes(b"34")
    for read in (place.read, place.local_path):
        with pytest.raises(SourceChanged, match=r"a.jpg: the file changed after it was listed"):
            read(listed)
    assert place.look(listed).sha256 == sha256(b"34")
    file.unlink()
    with pytest.raises(BadData, match="the file disappeared after it was listed"):
        place.look(listed)
