"""A unit that has arrived: its container below shards/, and where each member lies in it."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from pipeline_lib.errors import ArchiveDamaged
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.found import Found
from pipeline_lib.shards.sniff import HEAD_BYTES
from pipeline_lib.shards.tar_files import REMEDY

MEMBERS_FILE = "members.parquet"
BATCH = 256
CHUNK_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)  # there may be millions
class StoredMember:
    """One file of a unit. name: path below the source. sha256: None when it was refused, and so never read."""

    name: str
    offset_bytes: int
    size_bytes: int
    sha256: str | None
    refused: Reason | None


@dataclass(frozen=True)
class StoredUnit:
    """A unit's container and members, in the order of the unit."""

    container: Path
    members: tuple[StoredMember, ...]


def digest_members(
    container: Path,
    found: Sequence[Found],
    *,
    prefix: str,
    name: str,
    workers: int,
    max_file_bytes: int,
) -> tuple[StoredMember, ...]:
    """Read every member that is taken, once, and give its sha256. name: of the archive, for messages.

    Raises ArchiveDamaged when the bytes are not those of the CRC that the archive states.
    """
    batches = [found[start : start + BATCH] for start in range(0, len(found), BATCH)]
    with container.open("rb") as file, ThreadPoolExecutor(workers) as pool:
        done = pool.map(
            lambda batch: [
                _member(file.fileno(), one, prefix, name, max_file_bytes) for one in batch
            ],
            batches,
        )
        return tuple(member for batch in done for member in batch)


def _member(
    handle: int, found: Found, prefix: str, archive: str, max_file_bytes: int
) -> StoredMember:
    reason = found.refusal(
        max_file_bytes,
        lambda: os.pread(handle, min(HEAD_BYTES, found.size_bytes), found.offset_bytes),
    )
    if reason:
        return StoredMember(prefix + found.name, -1, found.size_bytes, None, reason)
    sha256, crc32, position, end = (
        hashlib.sha256(),
        0,
        found.offset_bytes,
        found.offset_bytes + found.size_bytes,
    )
    while position < end:
        chunk = os.pread(handle, min(CHUNK_BYTES, end - position), position)
        assert chunk, (
            archive,
            found,
        )  # the walk has compared every member's end with the container's
        sha256.update(chunk)
        crc32 = zlib.crc32(chunk, crc32) if found.crc32 is not None else 0
        position += len(chunk)
    if found.crc32 is not None and crc32 != found.crc32:
        value = f"{found.name}, at byte {found.offset_bytes}"
        raise ArchiveDamaged(
            "a member is damaged: its checksum does not match",
            file=archive,
            value=value,
            remedy=REMEDY,
        )
    return StoredMember(
        prefix + found.name, found.offset_bytes, found.size_bytes, sha256.hexdigest(), None
    )


def write_members(stored: StoredUnit, path: Path) -> None:
    """Put the members beside the container, for the memo."""
    names = [field.name for field in fields(StoredMember)]
    columns = {name: [getattr(one, name) for one in stored.members] for name in names}
    pd.DataFrame(columns).to_parquet(path)


def read_stored(folder: Path) -> StoredUnit:
    """Read the output of `write_members`, with the container in the same folder."""
    frame = (
        pd.read_parquet(folder / MEMBERS_FILE)
        .astype(object)
        .where(lambda cells: cells.notna(), None)
    )
    members = [
        StoredMember(
            row.name,
            row.offset_bytes,
            row.size_bytes,
            row.sha256,
            Reason(row.refused) if row.refused else None,
        )
        for row in (StoredMember(*cells) for cells in frame.itertuples(index=False))
    ]
    container = next(file for file in folder.iterdir() if file.name != MEMBERS_FILE)
    return StoredUnit(container, tuple(members))
