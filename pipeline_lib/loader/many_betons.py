"""Several betons as one data set for FFCV, which knows one file only.

The betons are laid one after another in one space of addresses; a picture's pointer moves by the start of its beton.
FFCV's table of samples is put in the order of the selection: its sample numbers are our positions, and none can be out
of range (which in FFCV is a segmentation fault).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader.ffcv_guards import MemoryContext, MemoryManager, Reader
from pipeline_lib.loader.pictures import Pictures


@dataclass(frozen=True)
class AddressSpace:
    """starts: first address of each beton. pointers_N: addresses of all pictures, rising; sizes_N: their bytes."""

    contents: Sequence[Array]
    starts: Array
    pointers_N: Array
    sizes_N: Array

    def read(self, address: int) -> Array:
        """The bytes of the picture that begins at an address."""
        beton = int(np.searchsorted(self.starts, address, side="right")) - 1
        start = int(address - self.starts[beton])
        return self.contents[beton][start : start + int(self.sizes_N[np.searchsorted(self.pointers_N, address)])]


class JoinedReader(Reader):  # type: ignore[misc]  # ffcv publishes no types
    """FFCV's reader over the pictures of a selection, whichever beton they are in."""

    def __init__(self, pictures: Pictures) -> None:
        parts = [Reader(str(beton.path)) for beton in pictures.betons]
        self.__dict__.update(parts[0].__dict__)  # names and types of the fields: the same in all betons of ours
        starts = np.cumsum([0, *(part.header["alloc_table_ptr"] for part in parts)], dtype=np.uint64)[:-1]
        rows = np.cumsum([0, *(len(part.metadata) for part in parts)])[:-1]
        self.metadata = np.concatenate([part.metadata for part in parts])[rows[pictures.beton_N] + pictures.row_N]
        self.metadata["f0"]["data_ptr"] += starts[pictures.beton_N]
        self.num_samples = len(self.metadata)
        allocations = [part.alloc_table for part in parts]  # sorted by pointer: open_beton has seen to it
        self.space = AddressSpace(
            [beton.content for beton in pictures.betons],
            starts,
            np.concatenate([table["ptr"] + start for table, start in zip(allocations, starts, strict=True)]),
            np.concatenate([table["size"] for table in allocations]),
        )


class JoinedMemory(MemoryManager):  # type: ignore[misc]  # ffcv publishes no types
    """FFCV's way to the bytes of a picture: here the page cache, through the maps of all betons."""

    def __init__(self, reader: JoinedReader) -> None:
        self.reader = reader  # not super().__init__, which builds a Python set per picture for its own page reader

    def schedule_epoch(self, batches: Sequence[Sequence[int]]) -> MemoryContext:
        """Nothing is read ahead: the kernel does it."""
        return _MappedEpoch(self.reader.space)

    def compile_reader(self) -> Callable[[int, AddressSpace], Array]:
        """The function that decoders call with an address."""
        return lambda address, space: space.read(address)

    @property
    def state_type(self) -> Any:
        """Only asked for by compiled pipelines, and ours is not."""
        raise AssertionError("a compiled pipeline asked for it, and ours is not compiled")


class _MappedEpoch(MemoryContext):  # type: ignore[misc]  # ffcv publishes no types
    def __init__(self, space: AddressSpace) -> None:
        self._space = space

    @property
    def state(self) -> AddressSpace:
        return self._space

    def __enter__(self) -> AddressSpace:
        return self._space

    def __exit__(self, *error: object) -> None:
        return None
