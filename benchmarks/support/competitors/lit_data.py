"""LitData: its chunks, its own DataLoader; it decodes JPEG with torchvision."""

from __future__ import annotations

from pathlib import Path

from litdata import StreamingDataLoader, StreamingDataset

from benchmarks.support.competitors import BATCH_SIZE, WORKERS, Batches
from benchmarks.support.competitors.torch_view import random_view


def open_batches(folder: Path, option: str) -> Batches:
    """The chunks in `folder`."""
    images = Views(str(folder), shuffle=True, drop_last=True)
    loader = StreamingDataLoader(
        images, batch_size=BATCH_SIZE, num_workers=WORKERS, persistent_workers=True
    )
    return lambda epoch: (batch["image"] for batch in loader)


class Views(StreamingDataset):
    """Random views of the stored images."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.view = random_view()

    def __getitem__(self, index):
        row = super().__getitem__(index)
        return {"image": self.view(row["image"]), "label": row["label"]}
