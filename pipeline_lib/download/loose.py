"""Pack loose objects, local files or S3 keys, into one tar shard."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline_lib.download.packed_before import PackedBytes
from pipeline_lib.download.plan import Unit
from pipeline_lib.download.stored import StoredMember, StoredUnit
from pipeline_lib.errors import ObjectRefused
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.cut import shard_id
from pipeline_lib.shards.sniff import HEAD_BYTES, may_be_image
from pipeline_lib.shards.tar_files import write_end, write_member
from pipeline_lib.sources.names import is_image_name
from pipeline_lib.sources.objects import Place, SourceObject
from pipeline_lib.sources.s3 import READS_PER_WORKER

log = logging.getLogger(__name__)
NAMED = 5  # refusals of a unit that are told in full
READ_WHOLE_BYTES = 16 << 20
BATCH_OBJECTS = 16
BATCH_BYTES = 1 << 18
WRITE_BYTES = 1 << 20  # at once: two writes for each object take half as much CPU time again


def pack(
    unit: Unit,
    place: Place,
    folder: Path,
    *,
    kept: PackedBytes,
    workers: int,
    step: Callable[[int], None],
) -> StoredUnit:
    """Read the unit's objects, several at once, and write them in the unit's order to `<shard id>.tar` in `folder`.

    Objects that are not images by name or bytes, and unreadable ones, are listed but not written. kept: objects that
    the last run packed; the others come from the place. step: called with the bytes of each finished object. Raises
    SourceChanged when an object changed since it was listed.
    """
    members = []
    whys: list[str] = []
    container = folder / "pack"
    with container.open("wb", buffering=WRITE_BYTES) as file:
        read_one = partial(_read, place=place, kept=kept, source=unit.source.name)
        for read in _read_ahead(unit.objects, read_one, workers * READS_PER_WORKER):
            name, size_bytes = read.wanted.key, read.wanted.size_bytes
            if read.refused:
                members.append(StoredMember(name, -1, size_bytes, None, read.refused))
                whys += [read.why] if read.why else []
            else:
                offset = write_member(file, name, read.data)
                members.append(StoredMember(name, offset, len(read.data), read.sha256, None))
            step(size_bytes)
        write_end(file)
    for why in whys[:NAMED]:
        log.warning("%s", why)
    identity = shard_id(
        [
            (f"{unit.source.name}/{member.name}", member.sha256)
            for member in members
            if member.sha256
        ]
    )
    return StoredUnit(container.rename(folder / f"{identity}.tar"), tuple(members))


@dataclass(frozen=True)
class _Read:
    """An object with its bytes and their sha256, or the reason for refusing it."""

    wanted: SourceObject
    data: bytes = b""
    sha256: str = ""
    refused: Reason | None = None
    why: str = ""


def _read_ahead(
    objects: tuple[SourceObject, ...], read: Callable[[SourceObject], _Read], threads: int
) -> Iterator[_Read]:
    """Yield the objects as read, in order; at most two batches per thread are held in memory."""
    waiting: deque[Future[list[_Read]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for batch in _batches(objects, threads):
            waiting.append(pool.submit(lambda some: [read(one) for one in some], batch))
            if len(waiting) >= 2 * threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _batches(objects: tuple[SourceObject, ...], threads: int) -> Iterator[list[SourceObject]]:
    """Cut the objects into what a thread reads at once: handing over each by itself costs as much as reading it."""
    most = max(1, min(BATCH_OBJECTS, len(objects) // (4 * threads)))  # few leave no thread idle
    batch: list[SourceObject] = []
    batch_bytes = 0
    for one in objects:
        if batch and (len(batch) == most or batch_bytes + one.size_bytes > BATCH_BYTES):
            yield batch
            batch, batch_bytes = [], 0
        batch.append(one)
        batch_bytes += one.size_bytes
    if batch:
        yield batch


def _read(wanted: SourceObject, place: Place, kept: PackedBytes, source: str) -> _Read:
    if (known := kept.read(source, wanted)) is not None:
        return _Read(wanted, *known)
    is_open = not is_image_name(wanted.key)  # what a name refuses is not planned
    try:
        # a file that is not an image may have any size; reading the head of a usual one would cost a second request to S3
        if (
            is_open
            and wanted.size_bytes > READ_WHOLE_BYTES
            and not may_be_image(_head(place, wanted))
        ):
            return _Read(wanted, refused=Reason.NOT_IMAGE)
        data = place.read(wanted)
    except ObjectRefused as error:
        return _Read(wanted, refused=Reason.UNREADABLE_FILE, why=str(error))
    if is_open and not may_be_image(data[:HEAD_BYTES]):
        return _Read(wanted, refused=Reason.NOT_IMAGE)
    return _Read(wanted, data, wanted.sha256 or hashlib.sha256(data).hexdigest())


def _head(place: Place, wanted: SourceObject) -> bytes:
    return place.read_part(wanted, start=0, size_bytes=HEAD_BYTES)
