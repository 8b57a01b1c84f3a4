"""The loader that reads betons through FFCV: its reader, pipeline graph, epoch thread, buffers and JPEG decoder.

Order and views are ours (FFCV's augmentation cannot be seeded, its order repeats between seeds); so is the one step
from a stored picture to the pixels of a view, which the torchvision loader shares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline_lib.betons.layout import RAW, Array
from pipeline_lib.loader.batches import Batch
from pipeline_lib.loader.ffcv_guards import (
    AllocationQuery,
    Graph,
    GuardedEpoch,
    Loader,
    Operation,
    PipelineSpec,
    ToTensor,
    imdecode,
)
from pipeline_lib.loader.many_betons import AddressSpace, JoinedMemory, JoinedReader
from pipeline_lib.loader.plan import Plan
from pipeline_lib.loader.render import render_batch

BATCHES_AHEAD = 3


class FfcvLoader:
    """See BatchLoader."""

    kind = "ffcv"

    def __init__(self, plan: Plan, *, workers: int) -> None:
        self._plan, self._workers = plan, max(1, workers)
        self._reader = JoinedReader(plan.pictures)
        self.image_ids: Sequence[str] = plan.pictures.image_ids

    def __len__(self) -> int:
        return len(self._plan)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        with ThreadPoolExecutor(self._workers, "pictures") as pool:
            decoder = ViewDecoder(self._plan, epoch, pool=pool, workers=self._workers)
            pipeline = EpochPipeline(self._reader, decoder, self._plan.batch_size)
            batches = GuardedEpoch(pipeline, self._plan.order(epoch, start))
            try:
                for visits, (images_BHWC,) in zip(self._plan.batches(epoch, start), batches, strict=True):
                    yield self._plan.batch(visits, images_BHWC.clone())  # FFCV uses its buffers again
            finally:
                batches.stop()

    def close(self) -> None:
        """Nothing to do: the betons are maps, which go with the loader."""


class EpochPipeline(Loader):  # type: ignore[misc]  # ffcv publishes no types
    """What FFCV's epoch thread asks of its Loader, whose own constructor takes one file and one order."""

    def __init__(self, reader: JoinedReader, decoder: ViewDecoder, batch_size: int) -> None:
        self.reader, self.batch_size = reader, batch_size
        self.batches_ahead, self.num_workers, self.traversal_order = BATCHES_AHEAD, 1, None
        self.memory_manager = JoinedMemory(reader)
        specs = {"image": PipelineSpec("image", decoder=decoder, transforms=[ToTensor()])}
        fields = {name: number for number, name in enumerate(reader.handlers)}
        self.graph = Graph(specs, reader.handlers, fields, reader.metadata, self.memory_manager.compile_reader())
        self.generate_code()


class ViewDecoder(Operation):  # type: ignore[misc]  # ffcv publishes no types
    """An FFCV decoder: from visits to the views of their pictures in one epoch, uint8 [B, side, side, 3]."""

    def __init__(self, plan: Plan, epoch: int, *, pool: Executor, workers: int) -> None:
        super().__init__()
        self.plan, self.epoch, self.pool, self.workers = plan, epoch, pool, workers

    def declare_state_and_memory(self, previous_state: Any) -> tuple[Any, AllocationQuery]:
        """The shape of what comes out, and one buffer of it."""
        shape, kind = (self.plan.side_px, self.plan.side_px, 3), np.dtype(np.uint8)
        return replace(previous_state, jit_mode=True, shape=shape, dtype=kind), AllocationQuery(shape, kind)

    def generate_code(self) -> Callable[..., Array]:
        """The function that FFCV calls for each batch; `images_N` is the field's column of its sample table."""

        def decode(visits_B: Array, out_BHWC: Array, images_N: Array, space: AddressSpace) -> Array:
            positions_B = self.plan.positions(visits_B)

            def read(number: int) -> Array:
                image = images_N[positions_B[number]]
                return self._picture(int(positions_B[number]), image, self.memory_read(image["data_ptr"], space))

            views = self.plan.views(visits_B, self.epoch)
            render_batch(read, views, out_BHWC, pool=self.pool, workers=self.workers)
            return out_BHWC

        return decode

    def _picture(self, position: int, image: Array, stored: Array) -> Array:
        """Decode one picture. Raises OutputDamaged, where FFCV's own decoders show another picture's pixels."""
        height, width = int(image["height"]), int(image["width"])
        if image["mode"] == RAW:
            return stored.reshape(height, width, 3)
        pixels_HWC = np.empty((height, width, 3), np.uint8)
        if imdecode(stored, pixels_HWC, height, width, height, width, 0, 0, 1, 1, False, False) != 0:
            raise self.plan.pictures.undecodable(position)
        return pixels_HWC
