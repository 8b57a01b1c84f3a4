"""The images of a source, and the beginning of some, without taking the source."""

from __future__ import annotations

import errno
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, TypeVar

from pipeline_lib.errors import ArchiveDamaged
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.streams import BROKEN_STREAM, opener_of
from pipeline_lib.shards.tar_files import REMEDY, walk_tar
from pipeline_lib.shards.tar_headers import BrokenTar, read_members
from pipeline_lib.shards.zip_files import files_of, member_start, open_zip
from pipeline_lib.sources.names import encode_name, is_archive, refusal, without_archive_ending
from pipeline_lib.sources.objects import Place, SourceObject

Item = TypeVar("Item")
HEAD_BYTES = 1 << 18  # a header, with room for the metadata before it
REMOTE_MEMBERS = 2_000  # of one archive on S3: each costs up to a request
REMOTE_ARCHIVES = 10
STREAM_BYTES = 1 << 30  # of a compressed tar, which can only be read from its beginning
UNPACKED_BYTES = 1 << 33  # and of what it unpacks to
READ_AHEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class Seen:
    """One file of a source. first: gives its first so many bytes; None where that would cost another pass."""

    name: str
    size_bytes: int
    first: Callable[[int], bytes] | None
    fault: Reason | None = None  # a broken link, a device, ...

    @property
    def refused(self) -> Reason | None:
        """Why it will not be taken."""
        return refusal(self.name) or self.fault


@dataclass(frozen=True)
class Contents:
    """What was seen. files: the loose ones first, n_loose of them, then those in archives.

    is_complete: False when only the beginning of an archive was looked at.
    """

    files: tuple[Seen, ...]
    n_loose: int
    archives: tuple[SourceObject, ...]
    is_complete: bool

    @property
    def n_archives(self) -> int:
        """How many archives the source has."""
        return len(self.archives)


def look_into(place: Place, step: Callable[[int], object]) -> Contents:
    """List a source, and its archives' directories. step: called with the number of files that were just found.

    Raises ArchiveDamaged, and what listing raises.
    """
    found = sorted(_counted(place.list(), step), key=lambda one: one.key)
    archives = [one for one in found if is_archive(one.key)]
    files = [_loose(place, one) for one in found if not is_archive(one.key)]
    n_loose = len(files)

    # Over a network only the beginning is looked at: each member may cost a request.
    is_remote = bool(archives) and place.local_path(archives[0]) is None
    opened = archives[:REMOTE_ARCHIVES] if is_remote else archives
    is_complete = len(opened) == len(archives)
    for archive in opened:
        prefix = "" if place.is_single else without_archive_ending(archive.key) + "/"
        limit = REMOTE_MEMBERS if is_remote else None
        inside, is_whole = _archive(place, archive, step, limit=limit)
        files += [replace(one, name=prefix + one.name) for one in inside]
        is_complete = is_complete and is_whole
    return Contents(tuple(files), n_loose, tuple(archives), is_complete)


def _counted(items: Iterable[Item], step: Callable[[int], object]) -> Iterator[Item]:
    for item in items:
        yield item
        step(1)


def _loose(place: Place, found: SourceObject) -> Seen:
    return Seen(
        found.key,
        found.size_bytes,
        None if found.fault else partial(_part, place, found, 0),
        found.fault,
    )


def _archive(
    place: Place, archive: SourceObject, step: Callable[[int], object], *, limit: int | None
) -> tuple[list[Seen], bool]:
    """The members of an archive, and whether these are all."""
    file = io.BufferedReader(RangeFile(place, archive), READ_AHEAD_BYTES)
    magic = file.peek(6)[:6]
    if magic.startswith(b"PK"):
        return list(_counted(_zip_members(file, archive.key), step)), True
    opener = opener_of(magic)
    members = (
        _stream_members(file, archive, opener) if opener else _tar_members(place, archive, file)
    )
    seen = list(islice(_counted(members, step), limit))
    is_cut = len(seen) == limit if limit else False
    return seen, not is_cut and (opener is None or file.tell() >= archive.size_bytes)


def _tar_members(place: Place, archive: SourceObject, file: BinaryIO) -> Iterator[Seen]:
    for found in walk_tar(file, name=archive.key, size_bytes=archive.size_bytes):
        first = partial(_member_part, place, archive, found.offset_bytes, found.size_bytes)
        yield Seen(found.name, found.size_bytes, None if found.fault else first, found.fault)


def _zip_members(file: BinaryIO, name: str) -> Iterator[Seen]:
    archive = open_zip(file, name=name)

    def first(info: zipfile.ZipInfo, size_bytes: int) -> bytes:
        return member_start(archive, info, size_bytes, name=name)

    for info, stored in files_of(archive):
        yield Seen(stored, info.file_size, partial(first, info))


def _stream_members(
    file: BinaryIO, archive: SourceObject, opener: Callable[..., Any]
) -> Iterator[Seen]:
    """A compressed tar, read once up to STREAM_BYTES; heads are kept of every tenth of the first 10,000 members."""
    try:
        with opener(file, "rb") as stream:
            for number, member in enumerate(read_members(stream, start=0, end=None)):
                if (
                    file.tell() > STREAM_BYTES
                    or member.offset_bytes + member.size_bytes > UNPACKED_BYTES
                ):
                    return
                if member.is_file:
                    name = encode_name(member.name.removeprefix(b"./"))
                    is_shown = number % 10 == 0 and number < 10_000
                    start = stream.read(min(HEAD_BYTES, member.size_bytes)) if is_shown else b""
                    yield Seen(name, member.size_bytes, partial(_cut, start) if is_shown else None)
    except (BrokenTar, *BROKEN_STREAM) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        what = "the compressed archive is cut off or damaged"
        raise ArchiveDamaged(what, file=archive.key, value=error, remedy=REMEDY) from error


def _part(place: Place, archive: SourceObject, offset_bytes: int, size_bytes: int) -> bytes:
    return place.read_part(archive, start=offset_bytes, size_bytes=size_bytes)


def _member_part(
    place: Place, archive: SourceObject, offset_bytes: int, whole_bytes: int, size_bytes: int
) -> bytes:
    return _part(place, archive, offset_bytes, min(size_bytes, whole_bytes))


def _cut(data: bytes, size_bytes: int) -> bytes:
    return data[:size_bytes]


class RangeFile(io.RawIOBase):
    """An object as a file that can be read anywhere; on S3 each read is a request."""

    def __init__(self, place: Place, wanted: SourceObject) -> None:
        self._place, self._wanted, self._at = place, wanted, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing is read."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._wanted.size_bytes}[
            whence
        ]
        if start + offset < 0:  # as a file on a disk answers, which readers of zips count on
            raise OSError(errno.EINVAL, "before the beginning of the object")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer as far as the object goes."""
        data = self._place.read_part(self._wanted, start=self._at, size_bytes=len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
