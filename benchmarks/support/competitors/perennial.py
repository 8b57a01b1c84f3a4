"""Ours, through the one function that train, evaluate and predict use; the option is the kind of loader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.support.competitors import BATCH_SIZE, RATIO, SCALE, SIDE_PX, WORKERS, Batches
from pipeline_lib.loader import Augmentation, open_loader
from pipeline_lib.tables.beton_index import BETON_INDEX


def open_batches(folder: Path, option: str) -> Batches:
    """The beton and the index in `folder`."""
    image_ids = BETON_INDEX.read(folder / "images.index.parquet")["image_id"]
    loader = open_loader(
        folder,
        pd.DataFrame(
            {"image_id": image_ids, "label": np.arange(len(image_ids)) % 1000, "weight": 1.0}
        ),
        batch_size=BATCH_SIZE,
        side_px=SIDE_PX,
        augmentation=Augmentation(scale_min=SCALE[0], ratio_max=RATIO[1], flip=True),
        shuffle=True,
        seed=0,
        drop_last=True,
        kind=option,
        workers=WORKERS,
    )
    return lambda epoch: (batch.images_BHWC for batch in loader.epoch(epoch))
