"""MosaicML Streaming: its shards on the local disk behind torch's DataLoader; it decodes JPEG with Pillow."""

from __future__ import annotations

from pathlib import Path

from streaming import StreamingDataset
from torch.utils.data import DataLoader

from benchmarks.support.competitors import BATCH_SIZE, WORKERS, Batches
from benchmarks.support.competitors.torch_view import random_view


def open_batches(folder: Path, option: str) -> Batches:
    """The shards in `folder`."""
    images = Views(local=str(folder), shuffle=True, batch_size=BATCH_SIZE, num_canonical_nodes=1)
    loader = DataLoader(
        images, BATCH_SIZE, drop_last=True, num_workers=WORKERS, persistent_workers=True
    )
    return lambda epoch: (images for images, _ in loader)


class Views(StreamingDataset):
    """Random views of the stored images."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.view = random_view()

    def __getitem__(self, index):
        row = super().__getitem__(index)
        return self.view(row["image"]), row["label"]
