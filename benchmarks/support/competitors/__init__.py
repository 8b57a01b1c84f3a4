"""The loaders that benchmarks/speed/loaders.py times: one small module each, written as its own documentation advises.

Each module has one function, `open_batches(folder, option) -> Batches`. All give the same output: batches of BATCH_SIZE
images, uint8 RGB of SIDE_PX x SIDE_PX (channels first or last, as the loader likes), each a random-resized crop
(SCALE of the area, RATIO of the sides), antialiased in the loader's own way, every second one mirrored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor

Batches = Callable[[int], Iterable[Tensor]]  # epoch -> its batches, of pixels alone

BATCH_SIZE, SIDE_PX, WORKERS = 128, 224, 2
SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
