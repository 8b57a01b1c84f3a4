"""Change the size of canonical pixels: always the same filter, always with antialiasing.

Bicubic with a support that grows with the reduction (Pillow's `resize`): what ImageNet recipes evaluate with, integer
arithmetic, so the same bytes on every machine, and free of the aliasing of OpenCV's and torch's plain bicubic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def shrink_to(pixels_HWC: NDArray[np.uint8], *, short_side_px: int) -> NDArray[np.uint8]:
    """Make the short side `short_side_px` and keep the aspect; a picture that is no larger comes back as it is.

    Grey pictures [H, W] are taken too.
    """
    height, width = pixels_HWC.shape[:2]
    short = min(height, width)
    if short <= short_side_px:
        return pixels_HWC
    return resize(pixels_HWC, width=_scaled(width, short_side_px, short), height=_scaled(height, short_side_px, short))


def centre_square(pixels_HWC: NDArray[np.uint8], *, side_px: int) -> NDArray[np.uint8]:
    """Cut the largest centred square and bring it to `side_px` x `side_px`; smaller ones are enlarged."""
    height, width = pixels_HWC.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return resize(pixels_HWC[top : top + side, left : left + side], width=side_px, height=side_px)


def resize(pixels_HWC: NDArray[np.uint8], *, width: int, height: int) -> NDArray[np.uint8]:
    """Bring a picture, or a part of one, to exactly this size."""
    picture = Image.fromarray(np.ascontiguousarray(pixels_HWC))
    return np.array(picture.resize((width, height), Image.Resampling.BICUBIC))


def _scaled(length: int, numerator: int, denominator: int) -> int:
    """length x numerator / denominator, rounded half up in integers."""
    return (2 * length * numerator + denominator) // (2 * denominator)
