"""Several betons as one data set for FFCV, which knows one file only.

The betons are mapped one after another into one space of addresses; a picture's pointer moves by the start of its
beton. FFCV's table of samples is put in the order of the selection: its sample numbers are our positions, and none can
be out of range (which in FFCV is a segmentation fault).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader.ffcv_guards import OSCacheContext, OSCacheManager, Reader
from pipeline_lib.loader.pictures import Pictures

PROT_NONE, MAP_FIXED = 0x0, 0x10  # Linux; Python's mmap module has no names for them


class JoinedReader(Reader):  # type: ignore[misc]  # ffcv publishes no types
    """FFCV's reader over the pictures of a selection, whichever beton they are in.

    space: uint8, the bytes of all betons. pointers_N, sizes_N: where in it pictures begin, rising, and their bytes.
    """

    def __init__(self, pictures: Pictures) -> None:
        parts = [Reader(str(beton.path)) for beton in pictures.betons]
        self.__dict__.update(parts[0].__dict__)  # names and types of the fields: the same in all betons of ours
        ends = [int(part.header["alloc_table_ptr"]) for part in parts]
        starts = np.cumsum([0, *ends], dtype=np.uint64)[:-1]
        rows = np.cumsum([0, *(len(part.metadata) for part in parts)])[:-1]
        self.metadata = np.concatenate([part.metadata for part in parts])[rows[pictures.beton_N] + pictures.row_N]
        self.metadata["f0"]["data_ptr"] += starts[pictures.beton_N]
        self.num_samples = len(self.metadata)
        allocations = [part.alloc_table for part in parts]  # sorted by pointer: open_beton has seen to it
        self.space = map_together([beton.path for beton in pictures.betons], ends)
        self.pointers_N = np.concatenate(
            [table["ptr"] + start for table, start in zip(allocations, starts, strict=True)]
        )
        self.sizes_N = np.concatenate([table["size"] for table in allocations])

    def locate(self, pointers_B: Array) -> tuple[Array, Array]:
        """Where in memory the pictures at these places of `space` begin, and how many bytes each takes, uint64 [B]."""
        sizes_B: Array = self.sizes_N[np.searchsorted(self.pointers_N, pointers_B)]
        return pointers_B + np.uint64(self.space.ctypes.data), sizes_B


class JoinedMemory(OSCacheManager):  # type: ignore[misc]  # ffcv publishes no types
    """FFCV's way to the bytes of a picture: the page cache, through the maps of all betons."""

    def __init__(self, reader: JoinedReader) -> None:
        # not super().__init__, which builds a Python set per picture for a page reader that is not used here
        self.reader, self.ptrs, self.sizes = reader, reader.pointers_N, reader.sizes_N
        self.context = OSCacheContext(self)
        self.context.mmap = reader.space


def map_together(paths: Sequence[Path], sizes: Sequence[int]) -> Array:
    """Map the first `sizes` bytes of files one after another, uint8, read-only. Sizes are multiples of a page."""
    total = sum(sizes)
    start = _mmap(None, total, PROT_NONE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)
    owner = (ctypes.c_uint8 * total).from_address(start)
    weakref.finalize(owner, _libc.munmap, ctypes.c_void_p(start), ctypes.c_size_t(total)).atexit = False
    for path, size in zip(paths, sizes, strict=True):
        with path.open("rb") as file:
            _mmap(start, size, mmap.PROT_READ, mmap.MAP_SHARED | MAP_FIXED, file.fileno())
        start += size
    return np.frombuffer(memoryview(owner).toreadonly(), np.uint8)


_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_int64)


def _mmap(address: int | None, size: int, protection: int, flags: int, file: int) -> int:
    start: int = _libc.mmap(address, size, protection, flags, file, 0)
    if start == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), f"mmap: {os.strerror(ctypes.get_errno())}")
    return start
