"""Limit the memory for one image: the kernel refuses more, which becomes a verdict on that image."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# Measured with 64 million pixels: 8 bytes per pixel (JPEG) to 21 (CMYK JPEG, WebP), decoded, hashed and measured.
BYTES_PER_PIXEL: Final = 32
BYTES_BESIDE: Final = 256_000_000


def image_memory_bytes(max_pixels: int) -> int:
    """Return the memory that suffices for any image of up to `max_pixels`, plus a half."""
    return BYTES_BESIDE + BYTES_PER_PIXEL * max_pixels


@contextlib.contextmanager
def memory_limit(size_bytes: int) -> Iterator[None]:
    """Let this process grow by at most this much (RLIMIT_DATA, see getrlimit(2)); past that MemoryError. Linux only.

    Only the soft limit is set, and reset. A decoder that does not check the result of malloc ends the process.
    """
    if sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _data_bytes() + size_bytes
    limit = wanted if soft == resource.RLIM_INFINITY else min(wanted, soft)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_bytes() -> int:
    """Private memory that this process may write (man 5 proc, statm: data and stack)."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[5]) * os.sysconf(
        "SC_PAGE_SIZE"
    )
