"""Compressed streams: gzip, bzip2 and xz, told by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Final

OPENERS: Final[dict[bytes, Callable[..., Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
BROKEN_STREAM: Final = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    OSError,
)  # an OSError with errno is the disk's, not its


def opener_of(magic: bytes) -> Callable[..., Any] | None:
    """Return the function that opens a file with these first six bytes; None for an uncompressed one."""
    return next((opener for start, opener in OPENERS.items() if magic.startswith(start)), None)
