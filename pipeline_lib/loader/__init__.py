"""Batches of images from betons: the order, the training views and the evaluation view, the same in every loader.

Names are imported on first use: `train`'s section of params.yaml describes augmentation by `view_params`, and reading
params.yaml must not take the seconds that torch takes to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline_lib.loader.augmentation import Augmentation
    from pipeline_lib.loader.batches import Batch, BatchLoader
    from pipeline_lib.loader.open import open_loader, open_still

__all__ = ["Augmentation", "Batch", "BatchLoader", "open_loader", "open_still"]
MODULES = ("augmentation", "batches", "open")  # in which the names above are found


def __getattr__(name: str) -> Any:
    """Find one of the names above in its module (PEP 562)."""
    if name in __all__:
        for module in MODULES:
            found = import_module(f"{__name__}.{module}")
            if hasattr(found, name):
                return getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
