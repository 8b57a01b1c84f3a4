"""Pack loose objects, local files or S3 keys, into one tar shard."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pipeline_lib.download.plan import Unit
from pipeline_lib.download.stored import Stored, StoredMember
from pipeline_lib.shards.cut import shard_id
from pipeline_lib.shards.places import Place, SourceObject
from pipeline_lib.shards.s3 import READS_PER_WORKER
from pipeline_lib.shards.tar_files import write_end, write_member


def pack(unit: Unit, place: Place, folder: Path, *, workers: int, step: Callable[[int], None]) -> Stored:
    """Read the unit's objects, several at once, and write them in the unit's order to `<shard id>.tar` in `folder`.

    step: told the bytes of each object that is done. Raises SourceChanged when an object changed since it was listed.
    """
    members = []
    partial = folder / "pack"
    with partial.open("wb") as file:
        for wanted, data, sha256 in _read_ahead(unit.objects, place, workers * READS_PER_WORKER):
            offset = write_member(file, wanted.key, data)
            members.append(StoredMember(wanted.key, offset, len(data), sha256, None))
            step(len(data))
        write_end(file)
    identity = shard_id([(f"{unit.source.name}/{member.name}", member.sha256 or "") for member in members])
    return Stored(partial.rename(folder / f"{identity}.tar"), tuple(members))


def _read_ahead(
    objects: tuple[SourceObject, ...], place: Place, threads: int
) -> Iterator[tuple[SourceObject, bytes, str]]:
    """Yield (object, bytes, sha256) in order; at most two per thread are held in memory."""
    waiting: deque[Future[tuple[SourceObject, bytes, str]]] = deque()

    def read(wanted: SourceObject) -> tuple[SourceObject, bytes, str]:
        data = place.read(wanted)
        return wanted, data, hashlib.sha256(data).hexdigest()

    with ThreadPoolExecutor(threads) as pool:
        for wanted in objects:
            waiting.append(pool.submit(read, wanted))
            if len(waiting) >= 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
