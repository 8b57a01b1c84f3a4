"""The size of stored images: applied by `convert`, and again in prediction.

The order is fixed: crop to a square, shrink (once, bicubic), pad to a square. An image is never enlarged.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline_lib.params_file import Params
from pipeline_lib.pixels.resize import resize, scaled

PADDING_GREY = 128  # close to zero after a network has subtracted the mean


class KeptSize(Params):
    """Limits on the sides of stored images, and their shape. Where both limits are given, both hold."""

    short_side_px: int | None = Field(
        None,
        ge=8,
        le=4096,
        description="length to which the short side of images is reduced, pixels (images are never enlarged); null "
        "keeps their size",
        json_schema_extra={"visible": True},
    )
    long_side_px: int | None = Field(
        None,
        ge=8,
        le=16_384,
        description="length to which the long side of images is reduced, pixels (images are never enlarged); with "
        "short_side_px too, both limits hold",
    )
    shape: Literal["as_is", "square_crop", "square_pad"] = Field(
        "as_is",
        description="shape of stored images; as_is: unchanged; square_crop: the central square; square_pad: a "
        "square as wide as the long side, filled up with grey (128) bars. For squares, the side limits apply to "
        "the square",
    )

    def of(self, width: int, height: int) -> tuple[int, int]:
        """Return the stored width and height of an image of this width and height, in pixels."""
        width, height = self._shrunk(*self._cut(width, height))
        return (max(width, height),) * 2 if self.shape == "square_pad" else (width, height)

    def apply(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the stored pixels; the same array if nothing changes."""
        height, width = pixels_HWC.shape[:2]
        cut = self._cut(width, height)
        if cut != (width, height):
            left, top = (width - cut[0]) // 2, (height - cut[1]) // 2
            pixels_HWC = pixels_HWC[top : top + cut[1], left : left + cut[0]]
        shrunk = self._shrunk(*cut)
        if shrunk != cut:
            pixels_HWC = resize(pixels_HWC, width=shrunk[0], height=shrunk[1])
        return _padded(pixels_HWC) if self.shape == "square_pad" else pixels_HWC

    def _cut(self, width: int, height: int) -> tuple[int, int]:
        return (min(width, height),) * 2 if self.shape == "square_crop" else (width, height)

    def _shrunk(self, width: int, height: int) -> tuple[int, int]:
        """Apply the smaller of the two ratios limit/side, at most 1, in integers."""
        short, long = min(width, height), max(width, height)
        limits = [
            (self.short_side_px, long if self.shape == "square_pad" else short),
            (self.long_side_px, long),
        ]
        ratios = [(limit, side) for limit, side in limits if limit is not None and limit < side]
        if not ratios:
            return width, height
        limit, side = min(ratios, key=lambda ratio: ratio[0] / ratio[1])
        return scaled(width, limit, side), scaled(height, limit, side)


def _padded(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add bars of equal width on both sides; an odd row or column goes to the end."""
    height, width = pixels_HWC.shape[:2]
    side = max(height, width)
    if height == width:
        return pixels_HWC
    square = np.full((side, side, 3), PADDING_GREY, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = pixels_HWC
    return square
