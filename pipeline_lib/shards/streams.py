"""Compressed streams and foreign archives, told by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Final

from pipeline_lib.errors import BadData

OPENERS: Final[dict[bytes, Callable[..., Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
FOREIGN: Final = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
}
FOREIGN_ENDINGS: Final = {".7z": "7z", ".rar": "RAR", ".tar.zst": "Zstandard", ".tzst": "Zstandard"}
BROKEN_STREAM: Final = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    OSError,
)  # an OSError with errno is the disk's, not its


def refuse_foreign(name: str, magic: bytes = b"") -> None:
    """Raise BadData for an archive of a format that we do not read, by its first bytes or, without them, by its name."""
    by_bytes = (kind for start, kind in FOREIGN.items() if magic.startswith(start))
    by_name = (
        kind
        for ending, kind in FOREIGN_ENDINGS.items()
        if not magic and name.lower().endswith(ending)
    )
    if kind := next(by_bytes, None) or next(by_name, None):
        remedy = "unpack it and name the folder, or pack it anew as a tar or zip"
        raise BadData(f"{kind} archives are not read", file=name, remedy=remedy)


def opener_of(magic: bytes) -> Callable[..., Any] | None:
    """Return the function that opens a file with these first six bytes; None for an uncompressed one."""
    return next((opener for start, opener in OPENERS.items() if magic.startswith(start)), None)
