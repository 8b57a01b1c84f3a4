"""Memory for batches: each has its own, and what nobody holds any more is used again.

Fresh memory costs a page fault for every 4 kB, and FFCV's own buffers, which it uses again while a batch is still held,
would cost a copy. benchmarks/speed/loaders.py shows what is left: `stock` copies, `ffcv` does not.
"""

from __future__ import annotations

import weakref
from collections import deque

import torch

from pipeline_lib.betons.layout import Array

KEPT = 8  # free blocks; more than are ever on their way


class BatchMemory:
    """Gives uint8 arrays of up to [B, side, side, 3]. Pinned where this process computes on a GPU."""

    def __init__(self, batch_size: int, side_px: int) -> None:
        self._shape, self._free = (batch_size, side_px, side_px, 3), deque[Array](maxlen=KEPT)

    def take(self, count: int) -> Array:
        """An array for `count` pictures, not filled. It goes back when it and every tensor made of it are gone."""
        try:
            block = self._free.pop()
        except IndexError:
            pinned = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
            block = torch.empty(self._shape, dtype=torch.uint8, pin_memory=pinned).numpy()
        array = block[:count]
        weakref.finalize(array, self._free.append, block).atexit = False
        return array
