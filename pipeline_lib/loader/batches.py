"""What a loader gives: batches, B images of H x W pixels and C = 3 colours each; and the memory they lie in."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pipeline_lib.betons.layout import Array

FREE_BLOCKS = 8  # kept for the next batches; no loader has more batches on their way


@dataclass(frozen=True)
class Batch:
    """Tensors that belong to this batch alone: safe to keep after the next batch has come."""

    images_BHWC: Tensor  # uint8, RGB
    labels_B: Tensor  # int64
    weights_B: Tensor  # float32
    positions_B: Tensor  # int64: row of the selection frame


class BatchLoader(Protocol):
    """Gives the images of one selection, epoch by epoch. `len` is the number of batches in a whole epoch."""

    kind: str  # native, python, resident or ffcv
    image_ids: Sequence[str]  # by position

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, a function of (seed, epoch) alone: any epoch may be asked for, in any order.

        start: leave out this many batches, undecoded: a run that stopped after `start` steps continues as it would
        have.

        Raises OutputDamaged when the bytes of an image are not those that `convert` wrote.
        """
        ...

    def close(self) -> None:
        """Free what the loader holds."""
        ...


class BatchMemory:
    """Gives uint8 arrays of up to [B, side, side, 3]. Pinned where this process computes on a GPU.

    Each batch has memory of its own, and a block that nobody holds any more is used again: fresh memory costs a page
    fault for every 4 kB, and one fixed set of buffers would be overwritten while a batch is still held.
    """

    def __init__(self, batch_size: int, side_px: int) -> None:
        self._shape = (batch_size, side_px, side_px, 3)
        self._free = deque[Array](maxlen=FREE_BLOCKS)

    def take(self, count: int) -> Array:
        """An array for `count` images, not filled. It goes back when it and every tensor made of it are gone."""
        try:
            block = self._free.pop()
        except IndexError:
            # Only pinned memory can be copied to a GPU while it computes.
            pinned = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
            block = torch.empty(self._shape, dtype=torch.uint8, pin_memory=pinned).numpy()

        # A view of the block, so that its end tells that nobody holds the batch; the block itself stays with us.
        array = block[:count]
        weakref.finalize(array, self._free.append, block).atexit = False
        return array
