"""The loader for machines without FFCV or a C compiler (`torchvision` in the settings): the same betons, order, views.

JPEG goes through simplejpeg, strictly, as in the pixel policy: torchvision's own decoder (0.29.2) shows a picture with
40 zeroed bytes, or with its end mark in the middle, without a word.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import simplejpeg
import torch

from pipeline_lib.betons.layout import RAW, Array
from pipeline_lib.loader.batch_memory import BatchMemory
from pipeline_lib.loader.batches import Batch
from pipeline_lib.loader.pictures import Pictures
from pipeline_lib.loader.plan import Plan
from pipeline_lib.loader.render import render_pictures

BATCHES_AHEAD = 3


class TorchLoader:
    """See BatchLoader. Decoding runs in threads: libjpeg-turbo and Pillow release Python's lock in it."""

    kind = "torchvision"

    def __init__(self, plan: Plan, *, workers: int) -> None:
        self._plan, self._workers = plan, max(1, workers)
        self._memory = BatchMemory(plan.batch_size, plan.side_px)
        self.image_ids: Sequence[str] = plan.pictures.image_ids

    def __len__(self) -> int:
        return len(self._plan)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        with ThreadPoolExecutor(1, "batches") as ahead, ThreadPoolExecutor(self._workers, "pictures") as pool:
            waiting: deque[tuple[Array, Future[torch.Tensor]]] = deque()
            try:
                for visits in self._plan.batches(epoch, start):
                    waiting.append((visits, ahead.submit(self._images, visits, epoch, pool)))
                    if len(waiting) > BATCHES_AHEAD:
                        yield self._next(waiting)
                while waiting:
                    yield self._next(waiting)
            finally:
                for _, future in waiting:
                    future.cancel()

    def close(self) -> None:
        """Nothing to do: the betons are maps, which go with the loader."""

    def _next(self, waiting: deque[tuple[Array, Future[torch.Tensor]]]) -> Batch:
        visits, future = waiting.popleft()
        return self._plan.batch(visits, future.result())

    def _images(self, visits_B: Array, epoch: int, pool: ThreadPoolExecutor) -> torch.Tensor:
        positions_B, images_BHWC = self._plan.positions(visits_B), self._memory.take(len(visits_B))
        views = self._plan.views(visits_B, epoch)

        def read(number: int) -> Array:
            return read_picture(self._plan.pictures, int(positions_B[number]))

        render_pictures(read, views, images_BHWC, pool=pool, workers=self._workers)
        return torch.from_numpy(images_BHWC)


def read_picture(pictures: Pictures, position: int) -> Array:
    """One picture as stored, uint8 RGB [H, W, 3]. Raises OutputDamaged."""
    image, stored = pictures.images_N[position], pictures.stored(position)
    shape = (int(image["height"]), int(image["width"]), 3)
    if not pictures.is_whole(position):
        raise pictures.damaged(position)
    if image["mode"] == RAW:
        return stored.reshape(shape)
    try:
        pixels: Array = simplejpeg.decode_jpeg(stored, colorspace="RGB", strict=True)
    except ValueError as error:
        raise pictures.damaged(position) from error
    if pixels.shape != shape:
        raise pictures.damaged(position)
    return pixels
