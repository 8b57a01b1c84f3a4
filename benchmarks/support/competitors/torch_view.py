"""The view that loaders without one of their own show: torchvision's, of a PIL image or of a tensor."""

from __future__ import annotations

from torchvision.transforms import v2

from benchmarks.support.competitors import RATIO, SCALE, SIDE_PX


def random_view() -> v2.Compose:
    """From a PIL image, or uint8 [3, H, W], to uint8 [3, SIDE_PX, SIDE_PX]."""
    crop = v2.RandomResizedCrop((SIDE_PX, SIDE_PX), scale=SCALE, ratio=RATIO, antialias=True)
    return v2.Compose([crop, v2.RandomHorizontalFlip(), v2.PILToTensor()])
