"""The images that a version was trained and tested on, taken from DVC's cache for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pipeline_lib.export.judged import Batch
from pipeline_lib.export.pruned import TrainingViews
from pipeline_lib.files.atomic import remove_tree
from pipeline_lib.loader import Augmentation, open_loader, open_still
from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.registry import Registry, Version
from pipeline_lib.settings import Settings
from pipeline_lib.tables.selection import SELECTION

CALIBRATION_IMAGES = 512
BATCH = 64


@dataclass(frozen=True)
class VersionImages:
    """Images of one version, as its model sees them. betons, selection: folders."""

    betons: Path
    selection: Path
    about: ModelFile
    settings: Settings

    def test(self) -> Iterator[Batch]:
        """All test images."""
        return self._still(self._rows("test"))

    def calibration(self) -> Iterator[Batch]:
        """Some training images, spread over all of them."""
        rows = self._rows("train")
        which = np.linspace(0, len(rows) - 1, min(CALIBRATION_IMAGES, len(rows))).astype(int)
        return self._still(rows.iloc[which].reset_index(drop=True))

    @contextmanager
    def training_views(self) -> Iterator[TrainingViews]:
        """Training images, augmented and in batches as in the training of this version."""
        recipe, rows = self.about.recipe, self._rows("train")
        known = {key: recipe[key] for key in Augmentation.model_fields if key in recipe}
        loader = open_loader(
            self.betons,
            rows,
            batch_size=min(int(recipe["batch_size"]), len(rows)),
            side_px=self.about.side_px,
            augmentation=Augmentation.model_validate(known),
            shuffle=True,
            seed=0,
            drop_last=True,
            kind=self.settings.loader,
            workers=self.settings.worker_count(),
        )
        with closing(loader):

            def views(epoch: int) -> Iterator[torch.Tensor]:
                return (batch.images_BHWC for batch in loader.epoch(epoch))

            yield TrainingViews(len(loader), views)

    def _rows(self, split: str) -> pd.DataFrame:
        return SELECTION.read(self.selection / f"{split}.parquet")

    def _still(self, rows: pd.DataFrame) -> Iterator[Batch]:
        loader = open_still(
            self.betons,
            rows,
            batch_size=BATCH,
            side_px=self.about.side_px,
            kind=self.settings.loader,
            workers=self.settings.worker_count(),
        )
        with closing(loader):
            for batch in loader.epoch(0):
                class_ids = rows["class_id"].iloc[batch.positions_B.numpy()].tolist()
                yield Batch(batch.images_BHWC.numpy().copy(), class_ids)


@contextmanager
def images_of(
    version: Version, about: ModelFile, registry: Registry, settings: Settings
) -> Iterator[VersionImages]:
    """Link them out of the cache, and remove the links afterwards. Raises SourceMissing, OutputDamaged."""
    folder = registry.state_folder / "export" / version.model_md5.removesuffix(".dir")
    try:
        data = {
            role: registry.cache.materialise(version.closure.md5_of(role), folder / role)
            for role in ("betons", "selection")
        }
        yield VersionImages(data["betons"], data["selection"], about, settings)
    finally:
        remove_tree(folder)
