"""Batches of pictures from betons: the order, the augmentation and the evaluation view, the same in both loaders."""

from pipeline_lib.loader.augment import Augmentation
from pipeline_lib.loader.batches import Batch, BatchLoader
from pipeline_lib.loader.open import open_loader, open_still

__all__ = ["Augmentation", "Batch", "BatchLoader", "open_loader", "open_still"]
