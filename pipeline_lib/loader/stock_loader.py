"""FFCV as it comes: its own decoders, resize and augmentations, compiled by it. For comparison, and as a way back.

Order, ranks and batches are ours. Views are drawn by FFCV, which cannot be seeded: a run cannot be repeated. They are
resized by area, as FFCV does, where all other loaders resize as `pixels.view` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import numpy as np

from pipeline_lib.betons.layout import Array
from pipeline_lib.errors import ConfigError
from pipeline_lib.loader.augment import Augmentation
from pipeline_lib.loader.batches import Batch
from pipeline_lib.loader.ffcv_guards import (
    CenterCropRGBImageDecoder,
    GuardedEpoch,
    Operation,
    RandomHorizontalFlip,
    RandomResizedCropRGBImageDecoder,
    RandomTranslate,
    compiling,
)
from pipeline_lib.loader.ffcv_loader import EpochPipeline
from pipeline_lib.loader.many_betons import JoinedReader
from pipeline_lib.loader.pictures import Pictures
from pipeline_lib.loader.plan import Plan

KNOWN = ("scale_min", "ratio_max", "flip", "shift_px")

_kept: list[EpochPipeline] = []  # to the end of the process: numba prints errors when compiled functions are dropped


class StockLoader:
    """See BatchLoader; but views are other ones each time, and a shift leaves black at the border."""

    kind = "stock"

    def __init__(self, plan: Plan, *, workers: int) -> None:
        self._plan = plan
        self.image_ids: Sequence[str] = plan.pictures.image_ids
        reader = JoinedReader(plan.pictures)
        check_pictures(plan.pictures, workers=workers)
        with compiling(workers):
            operations = stock_operations(plan.augmentation, plan.side_px)
            self._pipeline = EpochPipeline(reader, operations, batch_size=plan.batch_size, workers=workers)
        _kept.append(self._pipeline)

    def __len__(self) -> int:
        return len(self._plan)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        order = self._plan.positions(self._plan.order(epoch, start))
        batches = GuardedEpoch(self._pipeline, order)
        try:
            for visits, (images_BHWC,) in zip(self._plan.batches(epoch, start), batches, strict=True):
                yield self._plan.batch(visits, images_BHWC.clone())  # FFCV uses its buffers again
        finally:
            batches.stop()

    def close(self) -> None:
        """Nothing to do: the betons are maps, which go with the process."""


def stock_operations(augmentation: Augmentation | None, side_px: int) -> list[Operation]:
    """FFCV's decoder and transforms for an augmentation. Raises ConfigError for what FFCV does not have."""
    size = (side_px, side_px)
    if augmentation is None:
        return [CenterCropRGBImageDecoder(size, ratio=1)]
    others = [field for field in fields(Augmentation) if field.name not in KNOWN]
    unknown = [field.name for field in others if getattr(augmentation, field.name) != field.default]
    if unknown:
        remedy = "set PERENNIAL_LOADER=ffcv, or these keys of train to 0"
        raise ConfigError("FFCV has no such augmentation", file="params.yaml", value=", ".join(unknown), remedy=remedy)
    scale, ratio = (augmentation.scale_min, 1.0), (1 / augmentation.ratio_max, augmentation.ratio_max)
    crops = RandomResizedCropRGBImageDecoder(size, scale, ratio)
    operations = [crops if augmentation.scale_min < 1 else CenterCropRGBImageDecoder(size, ratio=1)]
    operations += [RandomHorizontalFlip()] if augmentation.flip else []
    return operations + ([RandomTranslate(augmentation.shift_px)] if augmentation.shift_px else [])


def check_pictures(pictures: Pictures, *, workers: int) -> None:
    """Compare the checksum of every picture: for a damaged one FFCV shows another's pixels. Raises OutputDamaged."""

    def damaged(positions: Array) -> list[int]:
        return [at for at in positions.tolist() if not pictures.is_whole(at)]

    parts = np.array_split(np.arange(len(pictures.image_ids)), workers)
    with ThreadPoolExecutor(workers, "check") as pool:
        for found in pool.map(damaged, parts):
            if found:
                raise pictures.damaged(found[0])
