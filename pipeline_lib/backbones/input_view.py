"""What a network sees of an image: the part, the size and the filter that its weights were trained for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FILTERS: Final = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
}


@dataclass(frozen=True)
class InputView:
    """side_px: of the square that the network sees. crop: share of the short side; None: all of it, squeezed to a square.

    interpolation: one of FILTERS. mean, std: of channels in 0..1.
    """

    side_px: int
    crop: float | None
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def short_side_px(self) -> int:
        """To which the whole image is reduced."""
        return round(self.side_px / (self.crop or 1))

    def of(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the network's input [side_px, side_px, 3]: one antialiased resize, also of small images."""
        height, width = pixels_HWC.shape[:2]
        box = (0.0, 0.0, float(width), float(height))
        if self.crop is not None:
            side = self.crop * min(height, width)
            left, top = (width - side) / 2, (height - side) / 2
            box = (left, top, left + side, top + side)
        image = Image.fromarray(np.ascontiguousarray(pixels_HWC))
        size = (self.side_px, self.side_px)
        return np.array(image.resize(size, FILTERS[self.interpolation], box=box))
