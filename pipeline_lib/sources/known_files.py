"""The sha256 of local files, remembered by size, dates and inode, so that an unchanged file costs a stat.

A copied or touched file is read once and found to be the same. What is remembered saves time and decides nothing: it
lies in the state folder and may be deleted.

A file may change again within one tick of the file system's clock, after we have read it and with the same dates. As
git does for its index ("racy git", git's Documentation/technical/racy-git.txt), what changed a moment before it was
read is therefore not remembered: it is read again next time.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline_lib.errors import SourceChanged

if TYPE_CHECKING:
    import pyarrow as pa

CLOCK_GRAIN_NS = 2_000_000_000  # the coarsest in use: FAT's dates
SAVE_EVERY_BYTES = 32 << 30  # read; what a kill costs
CHUNK_BYTES = 8 << 20
TRIES = 3  # of a file that changes while it is read
PACKED_STAMP = struct.Struct("<qqqQ")
LATEST_NS = 2**63 - 1  # in the year 2262; a camera's or a toolbox's wrong date may be any

Known = tuple[bytes, bytes]  # packed stamp, sha256


class Stamp(NamedTuple):
    """What a stat tells of a file: if none of it differs, neither do the bytes. changed_ns: no program can set it."""

    size_bytes: int
    modified_ns: int
    changed_ns: int
    inode: int

    def packed(self) -> bytes:
        """32 bytes: there may be millions."""
        return PACKED_STAMP.pack(*self)


def stamp_of(facts: os.stat_result) -> Stamp:
    """The stamp in a stat; dates that no table holds are moved to the last that it does."""
    modified_ns, changed_ns = (
        max(-LATEST_NS, min(ns, LATEST_NS)) for ns in (facts.st_mtime_ns, facts.st_ctime_ns)
    )
    return Stamp(facts.st_size, modified_ns, changed_ns, facts.st_ino)


@dataclass(frozen=True)
class Digest:
    """The sha256 of a file, and its stamp before and after it was read. was_touched: only its stamp is a new one."""

    sha256: str
    stamp: Stamp
    was_touched: bool = False

    def was_settled(self, began_ns: int) -> bool:
        """Whether a change after reading began must have given the file another stamp."""
        return self.stamp.changed_ns < began_ns - CLOCK_GRAIN_NS

    def as_known(self) -> Known:
        """Packed stamp and sha256."""
        return self.stamp.packed(), bytes.fromhex(self.sha256)


class KnownFiles:
    """The remembered files of one folder. file: where they are kept, which may not exist; None keeps nothing."""

    def __init__(self, file: Path | None) -> None:
        self.file = file

    def sha256(self, path: Path, key: str) -> str:
        """The sha256 of a file now; it is read if it is not remembered. Raises SourceChanged, OSError."""
        known = self._by_key.get(key)
        if known and known[0] == stamp_of(path.stat()).packed():
            return known[1].hex()
        began_ns = time.time_ns()
        digest = _digest(path)
        if digest.was_settled(began_ns):
            self._by_key[key] = digest.as_known()
        return digest.sha256

    def digests(
        self,
        stamps: Sequence[tuple[str, Stamp]],
        path_of: Callable[[str], Path],
        *,
        workers: int,
        begin: Callable[[int, int], Callable[[int], object]],
    ) -> Iterator[tuple[str, Digest | OSError]]:
        """Yield each key with the digest of its file, or with the error of reading it, in no order.

        begin: given the number of files and of bytes to read, gives what is told of the bytes that were read.
        Raises SourceChanged for a file that keeps changing.
        """
        kept: dict[str, Known] = {}
        pending = []
        for key, stamp in stamps:
            known = self._by_key.get(key)
            if known and known[0] == stamp.packed():
                kept[key] = known
                yield key, Digest(known[1].hex(), stamp)
            else:
                pending.append((key, stamp.size_bytes))
        step = _one_at_a_time(begin(len(pending), sum(size for _, size in pending)))
        with ThreadPoolExecutor(workers) as pool:
            for batch in _batches(pending):
                began_ns = time.time_ns()
                read = partial(_digest_or_error, path_of=path_of, step=step)
                for key, digest in zip(batch, pool.map(read, batch), strict=True):
                    if isinstance(digest, Digest):
                        digest = replace(digest, was_touched=self._was_touched(key, digest))
                        if digest.was_settled(began_ns):
                            kept[key] = digest.as_known()
                    yield key, digest
                self._write(kept)
        if not pending and len(kept) < len(self._by_key):
            self._write(kept)

    def _was_touched(self, key: str, digest: Digest) -> bool:
        """Whether a file that we know has other dates or another inode, and the same bytes."""
        stamp, sha256 = self._by_key.get(key, (b"", b""))
        return stamp != digest.stamp.packed() and sha256.hex() == digest.sha256

    @cached_property
    def _by_key(self) -> dict[str, Known]:
        if self.file is None or not self.file.exists():
            return {}
        import pyarrow as pa  # a folder is listed for prediction, too, whose set of packages lacks it
        import pyarrow.parquet as pq

        try:
            columns = pq.read_table(self.file, schema=_schema()).to_pydict()
        except (pa.ArrowException, OSError):  # a damaged file is as good as none
            return {}
        facts = zip(columns["stamp"], columns["sha256"], strict=True)
        return dict(zip(columns["key"], facts, strict=True))

    def _write(self, known: dict[str, Known]) -> None:
        if self.file is None:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = _schema()
        rows = [(key, *facts) for key, facts in sorted(known.items())]
        columns = dict(zip(schema.names, zip(*rows, strict=True), strict=True)) if rows else {}
        table = pa.table(columns, schema) if rows else schema.empty_table()
        # A run and a command may write it at once, so each under a name of its own.
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self.file.parent, suffix=".partial", delete=False) as file:
            pq.write_table(table, file)
        Path(file.name).replace(self.file)


def _schema() -> pa.Schema:
    import pyarrow as pa

    stamp = pa.binary(PACKED_STAMP.size)
    return pa.schema([("key", pa.string()), ("stamp", stamp), ("sha256", pa.binary(32))])


def _one_at_a_time(step: Callable[[int], object]) -> Callable[[int], object]:
    """The same function, for several threads."""
    lock = Lock()

    def locked(count: int) -> None:
        with lock:
            step(count)

    return locked


def _batches(pending: Iterable[tuple[str, int]]) -> Iterator[list[str]]:
    """Cut the files so that what was read is remembered now and then."""
    batch: list[str] = []
    batch_bytes = 0
    for key, size_bytes in pending:
        batch.append(key)
        batch_bytes += size_bytes
        if batch_bytes >= SAVE_EVERY_BYTES:
            yield batch
            batch, batch_bytes = [], 0
    if batch:
        yield batch


def _digest_or_error(
    key: str, path_of: Callable[[str], Path], step: Callable[[int], object]
) -> Digest | OSError:
    try:
        return _digest(path_of(key), step)
    except OSError as error:
        return error


def _digest(path: Path, step: Callable[[int], Any] = lambda _: None) -> Digest:
    """Read a file that does not change meanwhile. Raises SourceChanged if it keeps changing, OSError."""
    for _ in range(TRIES):
        sha256 = hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            before = stamp_of(os.fstat(file.fileno()))
            while chunk := file.read(CHUNK_BYTES):
                sha256.update(chunk)
                step(len(chunk))
        after = stamp_of(path.stat())
        if before == after:
            return Digest(sha256.hexdigest(), after)
    raise SourceChanged(
        f"the file changed {TRIES} times while it was read",
        file=path,
        value=f"{after.size_bytes} bytes now",
        remedy="run again when it is no longer written to",
    )
