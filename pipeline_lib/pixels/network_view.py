"""How a published network looks at an image of any size: the centre, resized once to the side that it was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class NetworkView:
    """side_px: height and width that the network sees. crop: side of the centre square, as a share of the short side.

    squash: the whole image, its shape changed, in place of the centre. resampling: Pillow's filter, antialiased.
    """

    side_px: int
    crop: float
    squash: bool = False
    resampling: Image.Resampling = Image.Resampling.BICUBIC

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
