"""What the tests of discover write as a source, and read in its listing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline_lib.tables.listing import LISTING

Discover = Callable[..., dict[str, Path]]


def write(path: Path, data: bytes = b"1") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def rows(listing: Path) -> list[tuple[str, str, int]]:
    frame = LISTING.read(listing)
    return list(zip(frame["kind"], frame["key"], frame["size_bytes"], strict=True))
