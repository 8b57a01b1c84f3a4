"""The loader that decodes in threads: with our C decoder (`native`), or with libraries alone (`python`).

Both show the same bytes in the same order. `python` serves machines without a C compiler, and is slower. Its JPEGs go
through simplejpeg, strictly, as in the pixel policy: torchvision's own decoder (0.29.2) shows an image with 40 zeroed
bytes, or with its end mark in the middle, without a word.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

import numpy as np
import simplejpeg
import torch

from pipeline_lib.betons.layout import RAW, Array
from pipeline_lib.loader.augmentation import Views
from pipeline_lib.loader.batches import Batch, BatchMemory
from pipeline_lib.loader.epoch_plan import Plan
from pipeline_lib.loader.find_images import Images
from pipeline_lib.loader.render import apply_effects, cut_and_resize
from pipeline_lib.native.views import Status, render_views, view_table

BATCHES_AHEAD = 3

# Images, positions of B of them, their views, where they go: cuts, resizes and mirrors. Raises OutputDamaged.
Decode = Callable[[Images, Array, Views, Array], None]


class DecodingLoader:
    """See BatchLoader. Both decoders release Python's lock while they work, so threads are enough."""

    def __init__(self, plan: Plan, *, kind: Literal["native", "python"], workers: int) -> None:
        self._plan = plan
        self._workers = max(1, workers)
        self._memory = BatchMemory(plan.batch_size, plan.side_px)
        self._decode: Decode = {"native": decode_natively, "python": decode_in_python}[kind]
        self.kind: str = kind
        self.image_ids: Sequence[str] = plan.images.image_ids

    def __len__(self) -> int:
        return len(self._plan)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        # One thread puts batches together, a few ahead of training; it has the others decode its batch.
        with (
            ThreadPoolExecutor(1, "batches") as ahead,
            ThreadPoolExecutor(self._workers, "images") as pool,
        ):
            waiting: deque[tuple[Array, Future[torch.Tensor]]] = deque()
            try:
                for visits_B in self._plan.batches(epoch, start):
                    waiting.append((visits_B, ahead.submit(self._show, visits_B, epoch, pool)))
                    if len(waiting) > BATCHES_AHEAD:
                        yield self._next(waiting)
                while waiting:
                    yield self._next(waiting)
            finally:
                # An epoch may be left early: what has not begun need not begin.
                for _, future in waiting:
                    future.cancel()

    def close(self) -> None:
        """Nothing to do: the betons are maps, which go with the loader."""

    def _next(self, waiting: deque[tuple[Array, Future[torch.Tensor]]]) -> Batch:
        visits_B, future = waiting.popleft()
        return self._plan.batch(visits_B, future.result())

    def _show(self, visits_B: Array, epoch: int, pool: ThreadPoolExecutor) -> torch.Tensor:
        """The views of one batch, uint8 [B, side, side, 3]: an equal part of it in each thread."""
        positions_B = self._plan.positions(visits_B)
        views = self._plan.views(visits_B, epoch)
        out_BHWC = self._memory.take(len(visits_B))

        def show_part(part: slice) -> None:
            shown = views.part(part)
            self._decode(self._plan.images, positions_B[part], shown, out_BHWC[part])
            if shown.has_effects:
                for n, image_HWC in enumerate(out_BHWC[part]):
                    apply_effects(shown, n, image_HWC)

        # The first error of any part is raised here, in the order of the batch.
        borders = np.linspace(0, len(visits_B), self._workers + 1).astype(int).tolist()
        for _ in pool.map(show_part, map(slice, borders, borders[1:])):
            pass
        return torch.from_numpy(out_BHWC)


def decode_natively(images: Images, positions_B: Array, views: Views, out_BHWC: Array) -> None:
    """Decode with our C decoder, which reads of a JPEG only the rows and columns of its box. See `Decode`."""
    # A flipped bit often leaves a valid JPEG of other pixels, and raw pixels are valid whatever they are.
    for position in positions_B.tolist():
        images.check(position)

    table_B = view_table(
        images.stored_N[positions_B],
        addresses_N=images.addresses_N[positions_B],
        sizes_N=images.sizes_N[positions_B],
        boxes_N4=views.boxes_N4,
        flips_N=views.flips_N,
    )
    render_views(table_B, out_BHWC)

    # The first image that failed stands for all of them.
    for n in np.flatnonzero(table_B["status"])[:1]:
        position = int(positions_B[n])
        if table_B["status"][n] == Status.NO_MEMORY:
            raise MemoryError(f"decoding {images.image_ids[position]}")
        raise images.damaged(position)


def decode_in_python(images: Images, positions_B: Array, views: Views, out_BHWC: Array) -> None:
    """Decode with simplejpeg and resize with Pillow, one whole image after another. See `Decode`."""
    for n, position in enumerate(positions_B.tolist()):
        image_HWC = read_image(images, position)
        cut_and_resize(image_HWC, views.boxes_N4[n], bool(views.flips_N[n]), out_BHWC[n])


def read_image(images: Images, position: int) -> Array:
    """One image as stored, uint8 RGB [H, W, 3]. Raises OutputDamaged."""
    images.check(position)
    row = images.stored_N[position]
    stored = images.stored(position)
    shape = (int(row["height"]), int(row["width"]), 3)

    # Raw pixels need no decoding, and their number is that of the shape: open_beton has seen to it.
    if row["mode"] == RAW:
        return stored.reshape(shape)
    try:
        pixels_HWC: Array = simplejpeg.decode_jpeg(stored, colorspace="RGB", strict=True)
    except ValueError as error:
        raise images.damaged(position) from error
    if pixels_HWC.shape != shape:
        raise images.damaged(position)
    return pixels_HWC
