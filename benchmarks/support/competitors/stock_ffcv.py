"""FFCV as it ships: its Loader, decoder and flip, compiled by numba at each start. It reads the betons we write."""

from __future__ import annotations

from pathlib import Path

from ffcv.fields.basics import IntDecoder
from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder
from ffcv.loader import Loader, OrderOption
from ffcv.transforms import RandomHorizontalFlip, Squeeze, ToTensor, ToTorchImage

from benchmarks.support.competitors import BATCH_SIZE, RATIO, SCALE, SIDE_PX, WORKERS, Batches


def open_batches(folder: Path, option: str) -> Batches:
    """The beton in `folder`."""
    decoder = RandomResizedCropRGBImageDecoder((SIDE_PX, SIDE_PX), SCALE, RATIO)
    loader = Loader(
        str(folder / "images.beton"),
        batch_size=BATCH_SIZE,
        num_workers=WORKERS,
        order=OrderOption.RANDOM,
        os_cache=True,
        drop_last=True,
        pipelines={
            "image": [decoder, RandomHorizontalFlip(), ToTensor(), ToTorchImage()],
            "row": [IntDecoder(), ToTensor(), Squeeze()],
        },
    )
    return lambda epoch: (images for images, _ in loader)
