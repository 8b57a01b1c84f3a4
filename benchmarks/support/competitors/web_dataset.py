"""WebDataset: tar files, read in order by torch's DataLoader and mixed in a buffer of a thousand."""

from __future__ import annotations

from pathlib import Path

import webdataset

from benchmarks.support.competitors import BATCH_SIZE, WORKERS, Batches
from benchmarks.support.competitors.torch_view import random_view


def open_batches(folder: Path, option: str) -> Batches:
    """The tar files in `folder`."""
    urls = sorted(str(path) for path in folder.glob("*.tar"))
    images = (
        webdataset.WebDataset(urls, shardshuffle=len(urls))
        .shuffle(1000)
        .decode("pil")
        .to_tuple("jpg", "cls")
        .map_tuple(random_view())
        .batched(BATCH_SIZE, partial=False)
    )
    loader = webdataset.WebLoader(
        images, batch_size=None, num_workers=WORKERS, persistent_workers=True
    )
    return lambda epoch: (images for images, _ in loader)
