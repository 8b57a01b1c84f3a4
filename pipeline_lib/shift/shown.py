"""Show a model the images of shifted test sets, in its own size: the same images for every model and in every run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader import open_still
from pipeline_lib.loader.augmentation import U64, image_keys
from pipeline_lib.loader.open import Kind as LoaderKind
from pipeline_lib.shift.corruptions import corrupt
from pipeline_lib.shift.names import is_corrupted, kind_and_strength


@dataclass(frozen=True)
class Shown:
    """B images of one test set. rows_B: index of each in the frame that was asked for."""

    rows_B: Array
    image_ids: tuple[str, ...]
    images_BHWC: torch.Tensor  # uint8, RGB


def show(
    betons: Path,
    wanted: pd.DataFrame,
    *,
    side_px: int,
    batch_size: int,
    loader: LoaderKind,
    workers: int,
) -> Iterator[Shown]:
    """Yield every row of `wanted` (columns test_set, image_id) once.

    side_px: height and width that the model sees. loader, workers: how images are decoded, which changes nothing.
    Raises as `loader.open_loader` does.
    """
    # Kinds and strengths that have the same images share one decoding.
    together: dict[tuple[str, ...], dict[str, Array]] = {}
    for name, rows in wanted.groupby("test_set"):
        together.setdefault(tuple(rows["image_id"]), {})[str(name)] = rows.index.to_numpy()
    for image_ids, rows_of in together.items():
        images = pd.DataFrame({"image_id": image_ids, "label": 0, "weight": 1.0})
        opened = open_still(
            betons, images, batch_size=batch_size, side_px=side_px, kind=loader, workers=workers
        )
        keys_N = image_keys(image_ids)
        with closing(opened):
            for batch in opened.epoch(0):
                at_B = batch.positions_B.numpy()
                ids_B = tuple(image_ids[at] for at in at_B)
                for name, rows_N in rows_of.items():
                    images_BHWC = _as_shown(name, batch.images_BHWC, keys_N[at_B])
                    yield Shown(rows_N[at_B], ids_B, images_BHWC)


def _as_shown(test_set: str, images_BHWC: torch.Tensor, keys_B: U64) -> torch.Tensor:
    if not is_corrupted(test_set):
        return images_BHWC
    kind, strength = kind_and_strength(test_set)
    images = [
        corrupt(image_HWC, kind, strength, key=int(key))
        for image_HWC, key in zip(images_BHWC.cpu().numpy(), keys_B, strict=True)
    ]
    return torch.from_numpy(np.stack(images))
