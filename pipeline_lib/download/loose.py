"""Pack loose objects, local files or S3 keys, into one tar shard."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pipeline_lib.download.plan import Unit
from pipeline_lib.download.stored import Stored, StoredMember
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.cut import shard_id
from pipeline_lib.shards.sniff import HEAD_BYTES, may_be_picture
from pipeline_lib.shards.tar_files import write_end, write_member
from pipeline_lib.sources.names import is_undecided
from pipeline_lib.sources.places import Place, SourceObject
from pipeline_lib.sources.s3 import READS_PER_WORKER

READ_WHOLE_BYTES = 16 << 20


def pack(unit: Unit, place: Place, folder: Path, *, workers: int, step: Callable[[int], None]) -> Stored:
    """Read the unit's objects, several at once, and write them in the unit's order to `<shard id>.tar` in `folder`.

    What neither name nor bytes call a picture is listed and not written. step: told the bytes of each object that is
    done. Raises SourceChanged when an object changed since it was listed.
    """
    members = []
    partial = folder / "pack"
    with partial.open("wb") as file:
        for wanted, data, sha256 in _read_ahead(unit.objects, place, workers * READS_PER_WORKER):
            if data is None:
                members.append(StoredMember(wanted.key, -1, wanted.size_bytes, None, Reason.NOT_IMAGE))
                step(wanted.size_bytes)
                continue
            offset = write_member(file, wanted.key, data)
            members.append(StoredMember(wanted.key, offset, len(data), sha256, None))
            step(len(data))
        write_end(file)
    identity = shard_id([(f"{unit.source.name}/{member.name}", member.sha256) for member in members if member.sha256])
    return Stored(partial.rename(folder / f"{identity}.tar"), tuple(members))


Read = tuple[SourceObject, bytes | None, str]


def _read_ahead(objects: tuple[SourceObject, ...], place: Place, threads: int) -> Iterator[Read]:
    """Yield (object, bytes or None for no picture, sha256) in order; at most two per thread are held in memory."""
    waiting: deque[Future[Read]] = deque()

    def read(wanted: SourceObject) -> Read:
        is_open = is_undecided(wanted.key)
        # what is no picture may be of any size; of a usual one the head would cost a second request to S3
        if is_open and wanted.size_bytes > READ_WHOLE_BYTES and not may_be_picture(_head(place, wanted)):
            return wanted, None, ""
        data = place.read(wanted)
        if is_open and not may_be_picture(data[:HEAD_BYTES]):
            return wanted, None, ""
        return wanted, data, hashlib.sha256(data).hexdigest()

    with ThreadPoolExecutor(threads) as pool:
        for wanted in objects:
            waiting.append(pool.submit(read, wanted))
            if len(waiting) >= 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _head(place: Place, wanted: SourceObject) -> bytes:
    return place.read_part(wanted, start=0, size_bytes=HEAD_BYTES)
