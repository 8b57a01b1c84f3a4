"""FFCV's own Loader, as it comes, over the line's betons: which of its images are the ones that our loaders show.

All of them where betons hold raw pixels, as the demo's do. FFCV decodes a JPEG in a faster way, a few levels off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline_lib.betons.layout import Array
from pipeline_lib.betons.read import Beton
from pipeline_lib.loader.decoding_loader import read_image
from pipeline_lib.loader.find_images import INDEX_ENDING, find_images
from pipeline_lib.pixels import centre_square
from pipeline_lib.tables.beton_index import BETON_INDEX

BATCH_SIZE = 64  # FFCV keeps the largest image's pixels times this times 5

_kept: list[
    Any
] = []  # to the end of the process: numba prints errors when FFCV's compiled functions are dropped


@dataclass(frozen=True)
class Equal:
    """How many images FFCV's Loader showed with exactly the pixels that our loaders show, of how many."""

    count: int
    of: int


def compare(betons: Path) -> Equal:
    """Read every image of every beton in a folder with both. Raises ImportError or OSError where ffcv is not usable."""
    images = find_images(betons, _every_row(betons))
    equal = 0
    for number, beton in enumerate(images.betons):
        positions = np.flatnonzero(images.beton_N == number)
        position_of_row = dict(
            zip(images.row_N[positions].tolist(), positions.tolist(), strict=True)
        )
        for row, pixels_HWC in read_with_ffcv(beton):
            image_HWC = read_image(images, position_of_row[row])
            equal += np.array_equal(
                pixels_HWC, centre_square(image_HWC, side_px=min(image_HWC.shape[:2]))
            )
    return Equal(equal, of=len(images))


def read_with_ffcv(beton: Beton) -> Iterator[tuple[int, Array]]:
    """Row and centred square of each image, uint8 [S, S, 3], S its shorter side, by `ffcv.loader.Loader`."""
    import pipeline_lib.loader.ffcv_loader  # noqa: F401 - first: with it, ffcv leaves torch's threads as they are

    from ffcv.fields.rgb_image import CenterCropRGBImageDecoder  # isort: skip
    from ffcv.loader import Loader

    # FFCV gives batches of one size. At its own size no image is resized, which FFCV and we do differently.
    stored_N = beton.samples_N["image"]
    sides_N = np.minimum(stored_N["height"], stored_N["width"])
    for side in np.unique(sides_N).tolist():
        rows = np.flatnonzero(sides_N == side)
        pipelines = {"image": [CenterCropRGBImageDecoder((side, side), ratio=1)]}
        options: dict[str, Any] = {
            "num_workers": 1,
            "drop_last": False,
            "indices": rows,
            "pipelines": pipelines,
        }
        loader = Loader(str(beton.path), batch_size=min(len(rows), BATCH_SIZE), **options)
        _kept.append(loader)
        for images_BHWC, rows_B1 in loader:
            yield from zip(rows_B1.flatten().tolist(), images_BHWC, strict=True)


def _every_row(betons: Path) -> pd.DataFrame:
    """A selection of everything that was converted."""
    indexes = [BETON_INDEX.read(path) for path in sorted(betons.glob(f"*{INDEX_ENDING}"))]
    return pd.concat(indexes, ignore_index=True)[["image_id"]].assign(label=0, weight=1.0)
