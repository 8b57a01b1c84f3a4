"""Batches of images from betons: the order, the training views and the evaluation view, the same in every loader."""

from pipeline_lib.loader.augmentation import Augmentation
from pipeline_lib.loader.batches import Batch, BatchLoader
from pipeline_lib.loader.open import open_loader, open_still

__all__ = ["Augmentation", "Batch", "BatchLoader", "open_loader", "open_still"]
