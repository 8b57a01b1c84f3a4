"""The images of a source, and the beginning of some, without taking the source."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, TypeVar, cast

from pipeline_lib.errors import ArchiveDamaged
from pipeline_lib.labels.files import opener, window
from pipeline_lib.labels.image_parquet import holds_images
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.parquet_images import MAGIC, first_images, name_of_row, names_after
from pipeline_lib.shards.sniff import sniff
from pipeline_lib.shards.streams import (
    BROKEN_STREAM,
    opener_of,
    refuse_foreign,
    refuse_no_archive,
)
from pipeline_lib.shards.tar_files import REMEDY, walk_tar
from pipeline_lib.shards.tar_headers import BrokenTar, read_members
from pipeline_lib.shards.zip_files import (
    files_of,
    is_guessed,
    member_start,
    open_zip,
    refuse_last_part,
)
from pipeline_lib.sources.names import encode_name, is_archive, refusal, without_archive_ending
from pipeline_lib.sources.objects import Place, SourceObject
from pipeline_lib.sources.range_file import RangeFile

Item = TypeVar("Item")
HEAD_BYTES = 1 << 18  # a header, with room for the metadata before it
REMOTE_MEMBERS = 2_000  # of one archive on S3: each costs up to a request
REMOTE_ARCHIVES = 10
STREAM_BYTES = 1 << 30  # of a compressed tar, which can only be read from its beginning
KEPT_BYTES = 1 << 27  # of files that are no images, of one compressed tar
UNPACKED_BYTES = 1 << 33  # and of what it unpacks to
READ_AHEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class Seen:
    """One file of a source. first: gives its first so many bytes; None where that would cost another pass.

    open: gives a file that is no image by its name, for those that may hold labels; None where it was not kept.
    is_guessed: the archive does not say in which code page the name is.
    """

    name: str
    size_bytes: int
    first: Callable[[int], bytes] | None
    fault: Reason | None = None  # a broken link, a device, ...
    open: Callable[[], BinaryIO] | None = field(default=None, compare=False)
    is_guessed: bool = False

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
    holds_images = _ImageParquet(place)
    archives, files = [], []
    for one in found:
        if is_archive(one.key) or holds_images(one):
            archives.append(one)
        else:
            files.append(_loose(place, one))
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
        None if found.fault else opener(place, found),
    )


class _ImageParquet:
    """Whether an object is a Parquet file of images: one footer is read for all files of a folder."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._of_folder: dict[str, bool] = {}

    def __call__(self, found: SourceObject) -> bool:
        if found.fault or not found.key.lower().endswith(".parquet"):
            return False
        folder = found.key.rpartition("/")[0]
        if folder not in self._of_folder:
            with opener(self._place, found)() as file:
                self._of_folder[folder] = holds_images(file)
        return self._of_folder[folder]


def _archive(
    place: Place, archive: SourceObject, step: Callable[[int], object], *, limit: int | None
) -> tuple[list[Seen], bool]:
    """The members of an archive, and whether these are all."""
    file = io.BufferedReader(RangeFile(place, archive), READ_AHEAD_BYTES)
    magic = file.peek(HEAD_BYTES)[:HEAD_BYTES]
    if magic.startswith(MAGIC):
        return list(_counted(_parquet_rows(opener(place, archive), archive), step)), True
    if magic.startswith(b"PK"):
        return list(_counted(_zip_members(file, archive.key), step)), True
    refuse_foreign(archive.key, magic)
    if archive.key.lower().endswith(".zip"):  # it begins in the middle of a member
        refuse_last_part(file, name=archive.key)
        file.seek(0)
    stream_opener = opener_of(magic)
    if stream_opener is None:
        refuse_no_archive(archive.key, magic)
    members = (
        _stream_members(file, archive, stream_opener)
        if stream_opener
        else _tar_members(place, archive, file)
    )
    seen = list(islice(_counted(members, step), limit))
    is_cut = len(seen) == limit if limit else False
    return seen, not is_cut and (stream_opener is None or file.tell() >= archive.size_bytes)


def _tar_members(place: Place, archive: SourceObject, file: BinaryIO) -> Iterator[Seen]:
    for found in walk_tar(file, name=archive.key, size_bytes=archive.size_bytes):
        first = partial(_member_part, place, archive, found.offset_bytes, found.size_bytes)
        inside = window(opener(place, archive), found.offset_bytes, found.size_bytes)
        opened = None if found.fault else inside
        yield Seen(
            found.name, found.size_bytes, None if found.fault else first, found.fault, opened
        )


def _parquet_rows(open_file: Callable[[], BinaryIO], archive: SourceObject) -> Iterator[Seen]:
    """The images of a Parquet file; heads are kept of the first rows. Names are those of the repacked images."""
    heads: list[bytes] = []
    sizes: list[int] = []
    for row, (data, given) in enumerate(first_images(open_file, archive.key)):
        heads.append(data[:HEAD_BYTES])
        sizes.append(len(data))
        yield Seen(name_of_row(row, given, data), len(data), partial(_cut, heads[-1]))
    ending = sniff(heads[0]) if heads else ""
    size_bytes = (
        sum(sizes) // len(sizes) if sizes else 0
    )  # of the others: the sizes are not in the footer
    for row, given in names_after(open_file, archive.key, start=len(heads)):
        name = name_of_row(row, given, b"") if given else f"{row:07}.{ending}"
        yield Seen(name, size_bytes, None)


def _zip_members(file: BinaryIO, name: str) -> Iterator[Seen]:
    archive = open_zip(file, name=name)

    def first(info: zipfile.ZipInfo, size_bytes: int) -> bytes:
        return member_start(archive, info, size_bytes, name=name)

    for info, stored in files_of(archive):
        yield Seen(
            stored,
            info.file_size,
            partial(first, info),
            open=partial(_open_member, archive, info),
            is_guessed=is_guessed(info),
        )


def _open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    return cast(BinaryIO, archive.open(info))


def _stream_members(
    file: BinaryIO, archive: SourceObject, opener: Callable[..., Any]
) -> Iterator[Seen]:
    """A compressed tar, read once up to STREAM_BYTES; heads are kept of every tenth of the first 10,000 members, and
    files that may hold labels as a whole, up to KEPT_BYTES.
    """
    kept_bytes = 0
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
                    is_other = refusal(name) is Reason.NOT_A_PICTURE_NAME
                    is_kept = is_other and kept_bytes + member.size_bytes <= KEPT_BYTES
                    is_shown = is_kept or (number % 10 == 0 and number < 10_000)
                    wanted = member.size_bytes if is_kept else HEAD_BYTES
                    start = stream.read(min(wanted, member.size_bytes)) if is_shown else b""
                    kept_bytes += member.size_bytes if is_kept else 0
                    first = partial(_cut, start) if is_shown else None
                    opened = partial(io.BytesIO, start) if is_kept else None
                    yield Seen(name, member.size_bytes, first, open=opened)
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
