"""How a published network looks at an image of any size: the centre, resized once to the side that it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RESAMPLING: Final = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class NetworkView:
    """side_px: height and width that the network sees. crop: side of the centre square, as a share of the short side.

    squash: the whole image, its shape changed, in place of the centre. resampling: Pillow's filter, antialiased.
    """

    side_px: int
    crop: float
    squash: bool = False
    resampling: Image.Resampling = Image.Resampling.BICUBIC

    @property
    def short_side_px(self) -> int:
        """To which the whole image is reduced."""
        return round(self.side_px / self.crop)

    def __call__(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the network's input [side_px, side_px, 3]: one resize, also of small images."""
        height, width = pixels_HWC.shape[:2]
        box = (0.0, 0.0, float(width), float(height))
        if not self.squash:
            side = self.crop * min(height, width)
            left, top = (width - side) / 2, (height - side) / 2
            box = (left, top, left + side, top + side)
        image = Image.fromarray(np.ascontiguousarray(pixels_HWC))
        return np.array(image.resize((self.side_px, self.side_px), self.resampling, box=box))


@dataclass(frozen=True)
class NetworkInput:
    """What weights were trained to see. mean, std: of channels in 0..1, by which the view is normalised."""

    view: NetworkView
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
