"""The images of an archive, read as `download` reads them: strictly, within the same limits, nothing is unpacked to disk."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from pipeline_lib.errors import ArchiveDamaged, BadData, PipelineError, SourceMissing
from pipeline_lib.prediction.buckets import BucketElsewhere
from pipeline_lib.prediction.items import Faulty, Held, Item, Part, Reader, concerns_all
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.found import Found
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.shards.sniff import HEAD_BYTES
from pipeline_lib.shards.streams import (
    BROKEN_STREAM,
    opener_of,
    refuse_foreign,
    refuse_no_archive,
)
from pipeline_lib.shards.tar_files import CHUNK_BYTES, REMEDY, walk_tar
from pipeline_lib.shards.zip_files import is_stored_zip, unpack_zip, walk_zip
from pipeline_lib.sources.objects import Place, SourceObject
from pipeline_lib.sources.range_file import RangeFile

# Files that lie beside images: left out without a word, as in a folder.
BESIDE_IMAGES = frozenset({Reason.IGNORED_SYSTEM_FILE, Reason.NOT_A_PICTURE_NAME})
WINDOW_BYTES = 8 << 20  # of an archive elsewhere: read at once, and held


def local_images(name: str, path: Path, reader: Reader) -> Iterator[Item]:
    """The images of a local archive as NAME/member; where it breaks, an item NAME with that fault is the last."""
    try:
        with path.open("rb") as file:
            yield from _images(name, file, path.stat().st_size, path, reader.limits)
    except OSError as error:
        remedy = "name an archive that you may read"
        yield Faulty(
            name,
            SourceMissing("cannot be read", file=name, value=error.strerror, remedy=remedy),
        )
    except PipelineError as fault:
        yield Faulty(name, fault)


def remote_images(
    name: str, place: Place | BucketElsewhere, found: SourceObject, reader: Reader
) -> Iterator[Item]:
    """The same of an archive elsewhere, which is read once, from its beginning to its end (a zip's directory first).

    Raises what concerns the whole place.
    """
    window = io.BufferedReader(RangeFile(place, found), WINDOW_BYTES)
    try:
        yield from _images(name, cast(BinaryIO, window), found.size_bytes, None, reader.limits)
    except PipelineError as fault:
        if concerns_all(fault, name):
            raise
        yield Faulty(name, fault)


def _images(
    name: str, file: BinaryIO, size_bytes: int, path: Path | None, limits: ArchiveLimits
) -> Iterator[Item]:
    magic = file.read(HEAD_BYTES)
    file.seek(0)
    refuse_foreign(name, magic)
    opener = opener_of(magic)
    if magic.startswith(b"PK") and path and is_stored_zip(path, name=name):
        found = iter(walk_zip(file, name=name, size_bytes=size_bytes))
        yield from _members(name, found, file, path, limits)
    elif magic.startswith(b"PK"):
        yield from _unpacked(name, file, size_bytes, limits)
    elif opener:
        stream = _Unpacking(opener(file), size_bytes, name, limits)
        whole = cast(BinaryIO, stream)
        found = walk_tar(whole, name=name, size_bytes=None)
        yield from _members(name, found, whole, None, limits)
        stream.finish()
    else:
        refuse_no_archive(name, magic)
        found = walk_tar(file, name=name, size_bytes=size_bytes)
        yield from _members(name, found, file, path, limits)


def _members(
    name: str, found: Iterator[Found], file: BinaryIO, path: Path | None, limits: ArchiveLimits
) -> Iterator[Item]:
    """Items of members that lie in `file`; each is read before the next is looked for, unless a worker can, from `path`."""
    for one in found:
        full = f"{name}/{one.name}"
        if reason := one.refusal(limits.max_file_bytes):
            yield from _refused(full, reason)
        elif path:
            yield Part(full, path, one.offset_bytes, one.size_bytes, one.crc32)
        else:
            file.seek(one.offset_bytes)
            data = file.read(one.size_bytes)
            if len(data) < one.size_bytes:
                value = f"{one.name}, {len(data)} of {one.size_bytes} bytes"
                raise ArchiveDamaged(
                    "the archive ends early", file=name, value=value, remedy=REMEDY
                )
            yield Held(full, data)


def _unpacked(name: str, file: BinaryIO, size_bytes: int, limits: ArchiveLimits) -> Iterator[Item]:
    for one, chunks in unpack_zip(file, name=name, size_bytes=size_bytes, limits=limits):
        full = f"{name}/{one.name}"
        if one.fault:
            yield from _refused(full, one.fault)
            continue
        try:
            item: Item = Held(full, b"".join(chunks))
        except ArchiveDamaged as fault:  # this member alone: the directory says where the next is
            item = Faulty(full, fault)
        yield item


def _refused(full: str, reason: Reason) -> Iterator[Item]:
    if reason not in BESIDE_IMAGES:
        yield Faulty(full, refused(full, reason))


def refused(name: str, reason: Reason) -> BadData:
    """The fault of a file that is refused by what is known before it is read."""
    remedy = f"docs/reasons.md says what {reason} means; take it out, or name images alone"
    return BadData(f"not taken: {reason}", file=name, remedy=remedy)


class _Unpacking:
    """A compressed stream that is read forward, within the limits; what was read last can be read again."""

    def __init__(self, stream: Any, received_bytes: int, name: str, limits: ArchiveLimits) -> None:
        self.stream, self.name = stream, name
        self.refuse = partial(limits.refuse_bomb, received_bytes=received_bytes, name=name)
        self.at, self.last, self.again = 0, b"", b""

    def seek(self, at: int) -> None:
        if at < self.at:
            back = self.at - at
            assert back <= len(self.last), (at, self.at)
            self.again = self.last[len(self.last) - back :] + self.again
            self.at = at
        while self.at < at and self.read(min(CHUNK_BYTES, at - self.at)):
            pass

    def read(self, size_bytes: int) -> bytes:
        data = bytearray(self.again[:size_bytes])
        self.again = self.again[size_bytes:]
        try:
            while len(data) < size_bytes:
                chunk = self.stream.read(min(CHUNK_BYTES, size_bytes - len(data)))
                if not chunk:
                    break
                data += chunk
                self.refuse(self.at + len(data))
        except BROKEN_STREAM as error:
            if isinstance(error, OSError) and error.errno is not None:  # the disk's
                raise
            what = f"the compressed archive is cut off or damaged after {self.at} unpacked bytes"
            raise ArchiveDamaged(what, file=self.name, value=error, remedy=REMEDY) from error
        self.at += len(data)
        self.last = bytes(data)
        return self.last

    def finish(self) -> None:
        """Read what follows the last member. Raises ArchiveDamaged if that is not zeros, or its checksum is wrong."""
        while chunk := self.read(CHUNK_BYTES):
            if chunk.count(0) != len(chunk):
                what = f"the tar archive is damaged before byte {self.at}"
                value = "more than zeros after its end"
                raise ArchiveDamaged(what, file=self.name, value=value, remedy=REMEDY)
