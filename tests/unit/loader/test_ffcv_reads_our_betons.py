"""A beton of ours is an FFCV file: `ffcv.loader.Loader` reads it with no option, subclass or custom field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline_lib.convert.params import ConvertParams

from pipeline_lib.loader import ffcv_loader  # isort: skip  # noqa: F401 - first: it keeps torch's threads as they are

from ffcv.fields.decoders import CenterCropRGBImageDecoder
from ffcv.loader import Loader, OrderOption

from testing.damaged_betons import smooth

from .conftest import write_beton

IMAGES = {f"{number}.png": smooth(number, 32, 32) for number in range(40)}
UNEQUAL = {f"{number}.png": smooth(number, 20 + number, 60 - number) for number in range(40)}


pytestmark = pytest.mark.usefixtures("uncompiled")


@pytest.mark.parametrize(
    "order", [OrderOption.SEQUENTIAL, OrderOption.RANDOM, OrderOption.QUASI_RANDOM]
)
@pytest.mark.parametrize("os_cache", [True, False])
@pytest.mark.parametrize("mode", ["raw", "jpg"])
def test_every_order_with_and_without_the_os_cache(
    mode: str, os_cache: bool, order: OrderOption, tmp_path: Path
) -> None:
    write_beton(tmp_path, "aa", IMAGES, ConvertParams(mode=mode))

    batches = Loader(
        str(tmp_path / "betons" / "aa.beton"),
        batch_size=8,
        num_workers=1,
        order=order,
        os_cache=os_cache,
        seed=1,
    )

    seen = {
        int(row): image
        for images, rows in batches
        for row, image in zip(rows, images.numpy().copy(), strict=True)
    }
    assert sorted(seen) == list(range(40))
    for row, meant in enumerate(IMAGES.values()):
        assert np.abs(seen[row].astype(int) - meant).mean() <= (0 if mode == "raw" else 6)


def test_images_of_many_sizes_through_ffcvs_own_crop(tmp_path: Path) -> None:
    write_beton(tmp_path, "aa", UNEQUAL, ConvertParams(mode="jpg"))
    pipelines = {"image": [CenterCropRGBImageDecoder((16, 16), 1.0)]}

    batches = Loader(
        str(tmp_path / "betons" / "aa.beton"),
        batch_size=8,
        num_workers=1,
        indices=np.arange(5, 21),
        pipelines=pipelines,
    )

    assert [int(row) for _, rows in batches for row in rows] == list(range(5, 21))
