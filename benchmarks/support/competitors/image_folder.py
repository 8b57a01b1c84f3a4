"""torchvision's ImageFolder behind torch's DataLoader: `pil` decodes with Pillow, `native` with torchvision itself."""

from __future__ import annotations

from pathlib import Path

from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import pil_loader
from torchvision.io import ImageReadMode, decode_image

from benchmarks.support.competitors import BATCH_SIZE, WORKERS, Batches
from benchmarks.support.competitors.torch_view import random_view


def open_batches(folder: Path, option: str) -> Batches:
    """The JPEG files themselves."""
    read = {"pil": pil_loader, "native": lambda path: decode_image(path, ImageReadMode.RGB)}[option]
    images = ImageFolder(str(folder), transform=random_view(), loader=read)
    loader = DataLoader(
        images,
        BATCH_SIZE,
        shuffle=True,
        drop_last=True,
        num_workers=WORKERS,
        persistent_workers=True,
    )
    return lambda epoch: (images for images, _ in loader)
