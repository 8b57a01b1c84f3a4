"""Store an archive: as received if its members can be read by offset (tar, stored zip), else repacked into a tar."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from pipeline_lib.download.plan import Unit
from pipeline_lib.download.stored import StoredUnit, digest_members
from pipeline_lib.download.unfinished import Unfinished
from pipeline_lib.errors import ArchiveDamaged
from pipeline_lib.files.atomic import link_or_copy
from pipeline_lib.shards.cut import shard_id
from pipeline_lib.shards.found import Found
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.shards.parquet_images import MAGIC, repack_parquet
from pipeline_lib.shards.sniff import HEAD_BYTES
from pipeline_lib.shards.streams import (
    BROKEN_STREAM,
    opener_of,
    refuse_foreign,
    refuse_no_archive,
)
from pipeline_lib.shards.tar_files import CHUNK_BYTES, REMEDY, walk_tar
from pipeline_lib.shards.zip_files import is_stored_zip, refuse_last_part, repack_zip, walk_zip
from pipeline_lib.sources.arriving import Arriving
from pipeline_lib.sources.objects import Place

log = logging.getLogger(__name__)
FICLONE = 0x40049409  # linux/fs.h: give a file the blocks of another, copied when either is written


def take_archive(
    unit: Unit,
    place: Place,
    folder: Path,
    *,
    workers: int,
    step: Callable[[int], None],
    skip: Callable[[int], None],
    limits: ArchiveLimits,
    unfinished: Unfinished,
) -> StoredUnit:
    """Bring an archive into `folder` and find its members.

    skip: told the bytes that an interrupted run has brought. Raises ArchiveDamaged, which names the byte where it breaks;
    BadData when it unpacks to more than `limits` allow. A local archive is cloned or copied, never linked: DVC makes its
    files read-only, and this one is the user's.
    """
    wanted, container = unit.objects[0], folder / "container"
    name = f"{place.address.rstrip('/')}/{wanted.key}" if unit.prefix else place.address
    with unfinished.arriving(place.address, wanted, folder) as arriving:
        if there_bytes := arriving.there_bytes:
            skip(there_bytes)
            what = "%s: %d of %d bytes are there from an interrupted run; the others follow"
            log.info(what, name, there_bytes, wanted.size_bytes)
        keep: Callable[[Path, Path], object] = partial(clone_or_copy, arriving=arriving)
        received = place.local_path(wanted)
        if received is None:
            place.fetch(wanted, arriving, workers=workers, step=step)
            received = arriving.path
            keep = link_or_copy
        ending, found = find_members(received, container, keep=keep, name=name, limits=limits)
        if place.local_path(wanted):  # which did not change meanwhile
            step(wanted.size_bytes - there_bytes)
        members = digest_members(
            container,
            found,
            prefix=unit.prefix,
            name=name,
            workers=workers,
            max_file_bytes=limits.max_file_bytes,
        )
    identity = shard_id(
        [(f"{unit.source.name}/{one.name}", one.sha256) for one in members if one.sha256]
    )
    return StoredUnit(container.rename(folder / f"archive-{identity}{ending}"), members)


def find_members(
    received: Path,
    container: Path,
    *,
    keep: Callable[[Path, Path], object],
    name: str,
    limits: ArchiveLimits,
) -> tuple[str, list[Found]]:
    """Write the container of an archive; return its file extension, and its members in the order of their bytes.

    keep: makes a container of an archive that stays as received.
    """
    magic = _head(received)
    if magic.startswith(MAGIC):
        with container.open("wb") as target:
            return ".tar", repack_parquet(received, target, name=name, limits=limits)
    refuse_foreign(name, magic)
    if name.lower().endswith(".zip"):
        refuse_last_part(received, name=name)
    opener = opener_of(magic)
    if opener:
        _decompress(opener, received, container, name=name, limits=limits)
    elif magic.startswith(b"PK") and not is_stored_zip(received, name=name):
        with container.open("wb") as target:
            return ".tar", repack_zip(received, target, name=name, limits=limits)
    else:
        keep(received, container)
    walk = walk_zip if magic.startswith(b"PK") else walk_tar
    if walk is walk_tar:
        refuse_no_archive(name, _head(container))
    with container.open("rb") as file:
        found = list(walk(file, name=name, size_bytes=container.stat().st_size))
    return (".zip" if magic.startswith(b"PK") else ".tar"), found


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _decompress(
    opener: Any, received: Path, container: Path, *, name: str, limits: ArchiveLimits
) -> None:
    received_bytes, unpacked_bytes = received.stat().st_size, 0
    try:
        with opener(received, "rb") as source, container.open("wb") as target:
            while chunk := source.read(CHUNK_BYTES):
                unpacked_bytes += len(chunk)
                limits.refuse_bomb(unpacked_bytes, received_bytes=received_bytes, name=name)
                target.write(chunk)
    except BROKEN_STREAM as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk, not the stream
            raise
        raise _broken_stream(container, name, error) from error


def _broken_stream(container: Path, name: str, error: Exception) -> ArchiveDamaged:
    what = f"the compressed archive is cut off or damaged after {container.stat().st_size} unpacked bytes"
    return ArchiveDamaged(what, file=name, value=error, remedy=REMEDY)


def clone_or_copy(source: Path, target: Path, arriving: Arriving) -> None:
    """Clone the file by sharing its blocks if the file system can (XFS, Btrfs), else copy its missing pieces."""
    with source.open("rb") as original:
        if not _cloned(original, target):
            for piece in arriving.missing:
                original.seek(piece.start)
                for start in range(piece.start, piece.stop, CHUNK_BYTES):
                    arriving.write(original.read(min(CHUNK_BYTES, piece.stop - start)), start)
            link_or_copy(arriving.path, target)


def _cloned(original: BinaryIO, target: Path) -> bool:
    try:
        with target.open("wb") as copy:
            fcntl.ioctl(copy.fileno(), FICLONE, original.fileno())
    except OSError:  # not supported here, or another file system
        return False
    return True
