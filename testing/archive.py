"""Edit a planted archive as its owner would: append, replace, withdraw."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path


def read_archive(path: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    """All members in order, with their bytes."""
    with tarfile.open(path) as archive:
        return [(member, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]


def edit_archive(
    path: Path,
    *,
    append: Mapping[str, bytes],
    replace: Mapping[str, bytes],
    withdraw: frozenset[str],
) -> None:
    """Write the archive again: members keep their place and time, new ones come last."""
    kept = [(member, data) for member, data in read_archive(path) if member.name not in withdraw]
    newest = max(member.mtime for member, _ in kept)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for member, data in kept:
            _add(archive, member.name, replace.get(member.name, data), int(member.mtime))
        for number, (name, data) in enumerate(append.items(), start=1):
            _add(archive, name, data, int(newest) + number)


def _add(archive: tarfile.TarFile, name: str, data: bytes, modified_s: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(data), modified_s
    archive.addfile(member, io.BytesIO(data))
