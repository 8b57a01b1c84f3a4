"""The loader that reads betons through FFCV: its reader, pipeline graph and epoch thread.

Order and views are ours (FFCV's augmentation cannot be seeded, its order repeats between seeds); so is the one step
from stored pictures to the pixels of their views, which docs/speed.md compares with FFCV's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader.batch_memory import BatchMemory
from pipeline_lib.loader.batches import Batch
from pipeline_lib.loader.ffcv_guards import (
    Graph,
    GuardedEpoch,
    Loader,
    Operation,
    PipelineSpec,
    ToTensor,
)
from pipeline_lib.loader.many_betons import JoinedMemory, JoinedReader
from pipeline_lib.loader.plan import Plan
from pipeline_lib.loader.render import render_table
from pipeline_lib.native.views import Status, view_table

BATCHES_AHEAD = 3


class FfcvLoader:
    """See BatchLoader."""

    kind = "ffcv"

    def __init__(self, plan: Plan, *, workers: int) -> None:
        self._plan, self._workers = plan, max(1, workers)
        self._reader = JoinedReader(plan.pictures)
        self._memory = BatchMemory(plan.batch_size, plan.side_px)
        self.image_ids: Sequence[str] = plan.pictures.image_ids

    def __len__(self) -> int:
        return len(self._plan)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        with ThreadPoolExecutor(self._workers, "pictures") as pool:
            render = partial(render_table, pool=pool, workers=self._workers)
            decoder = ViewDecoder(self._plan, self._reader, self._memory, epoch=epoch, render=render)
            pipeline = EpochPipeline(self._reader, [decoder], batch_size=self._plan.batch_size, workers=1)
            batches = GuardedEpoch(pipeline, self._plan.order(epoch, start))
            try:
                for visits, (images_BHWC,) in zip(self._plan.batches(epoch, start), batches, strict=True):
                    yield self._plan.batch(visits, images_BHWC)
            finally:
                batches.stop()

    def close(self) -> None:
        """Nothing to do: the betons are maps, which go with the loader."""


class EpochPipeline(Loader):  # type: ignore[misc]  # ffcv publishes no types
    """What FFCV's epoch thread asks of its Loader, whose own constructor takes one file and one order."""

    def __init__(self, reader: JoinedReader, operations: Sequence[Operation], *, batch_size: int, workers: int) -> None:
        """operations: a decoder, then transforms."""
        self.reader, self.batch_size = reader, batch_size
        self.batches_ahead, self.num_workers, self.traversal_order = BATCHES_AHEAD, workers, None
        self.memory_manager = JoinedMemory(reader)
        decoder, *transforms = operations
        specs = {"image": PipelineSpec("image", decoder=decoder, transforms=[*transforms, ToTensor()])}
        fields = {name: number for number, name in enumerate(reader.handlers)}
        self.graph = Graph(specs, reader.handlers, fields, reader.metadata, self.memory_manager.compile_reader())
        self.generate_code()


class ViewDecoder(Operation):  # type: ignore[misc]  # ffcv publishes no types
    """An FFCV decoder: from visits to the views of their pictures in one epoch, uint8 [B, side, side, 3]."""

    def __init__(
        self, plan: Plan, reader: JoinedReader, memory: BatchMemory, *, epoch: int, render: Callable[..., None]
    ) -> None:
        super().__init__()
        self.plan, self.reader, self.memory, self.epoch, self.render = plan, reader, memory, epoch, render

    def declare_state_and_memory(self, previous_state: Any) -> tuple[Any, None]:
        """The shape of what comes out. No buffer: FFCV would use it again while the batch is still held."""
        shape, kind = (self.plan.side_px, self.plan.side_px, 3), np.dtype(np.uint8)
        return replace(previous_state, jit_mode=True, shape=shape, dtype=kind), None

    def generate_code(self) -> Callable[..., Array]:
        """The function that FFCV calls for each batch; `images_N` is the field's column of its sample table."""

        def decode(visits_B: Array, buffer: None, images_N: Array, storage: object) -> Array:
            positions_B, views = self.plan.positions(visits_B), self.plan.views(visits_B, self.epoch)
            images_B = images_N[positions_B]
            addresses_B, sizes_B = self.reader.locate(images_B["data_ptr"])
            table_B = view_table(
                images_B, addresses_N=addresses_B, sizes_N=sizes_B, boxes_N4=views.boxes_N4, flips_N=views.flips_N
            )

            def is_whole(number: int) -> bool:
                return self.plan.pictures.is_whole(int(positions_B[number]))

            out_BHWC = self.memory.take(len(visits_B))
            self.render(table_B, views, out_BHWC, is_whole=is_whole)
            self._raise_failures(table_B["status"], positions_B)
            return out_BHWC

        return decode

    def _raise_failures(self, statuses_B: Array, positions_B: Array) -> None:
        """Raise OutputDamaged for a damaged picture, where FFCV's decoders show another picture's pixels."""
        if not statuses_B.any():
            return
        first = int(np.flatnonzero(statuses_B)[0])
        if statuses_B[first] == Status.NO_MEMORY:
            raise MemoryError(f"decoding {self.plan.pictures.image_ids[positions_B[first]]}")
        raise self.plan.pictures.damaged(int(positions_B[first]))
