"""Change the size of canonical pixels, always with antialiasing: the filter's support grows with the reduction.

Pillow's `resize`: integer arithmetic, so the same bytes on every machine, and free of the aliasing of OpenCV's and
torch's plain filters. Images that are kept smaller are shrunk once, by the better filter (bicubic). What a network
looks at is made anew at each visit, by the filter that torchvision's recipes train and evaluate with (bilinear), which
takes half as many pixels into account.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BAND_BYTES: Final = 1_000_000


def shrink_to(pixels_HWC: NDArray[np.uint8], *, short_side_px: int) -> NDArray[np.uint8]:
    """Make the short side `short_side_px` and keep the aspect; an image that is not larger is returned unchanged.

    Grey images [H, W] are taken too.
    """
    height, width = pixels_HWC.shape[:2]
    short = min(height, width)
    if short <= short_side_px:
        return pixels_HWC
    return resize(
        pixels_HWC,
        width=scaled(width, short_side_px, short),
        height=scaled(height, short_side_px, short),
    )


def reduce_whole(pixels_HWC: NDArray[np.uint8], *, short_side_px: int) -> NDArray[np.uint8]:
    """Divide the sides by the largest whole number that leaves the short side `short_side_px` or more.

    Each pixel is the mean of a square of them: a tenth of the time of a filter. An image whose short side is below
    twice the size is returned unchanged.
    """
    factor = min(pixels_HWC.shape[:2]) // short_side_px
    if factor < 2:
        return pixels_HWC
    # In bands that fit into a processor's cache, where Pillow's copy of them costs little.
    rows = factor * max(1, BAND_BYTES // (factor * pixels_HWC[0].nbytes))
    bands = (pixels_HWC[top : top + rows] for top in range(0, len(pixels_HWC), rows))
    return np.concatenate([np.asarray(Image.fromarray(band).reduce(factor)) for band in bands])


def centre_square(pixels_HWC: NDArray[np.uint8], *, side_px: int) -> NDArray[np.uint8]:
    """Cut the largest centred square and bring it to `side_px` x `side_px`; smaller ones are enlarged."""
    height, width = pixels_HWC.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return view(pixels_HWC[top : top + side, left : left + side], side_px=side_px)


def view(part_HWC: NDArray[np.uint8], *, side_px: int) -> NDArray[np.uint8]:
    """A part of an image as a network sees it: `side_px` x `side_px`, antialiased bilinear, columns first, then rows.

    Two calls, because Pillow alone decides by size which comes first, and bytes between them are rounded.
    native/resize.c gives the same bytes.
    """
    image = Image.fromarray(np.ascontiguousarray(part_HWC))
    columns = image.resize((side_px, image.height), Image.Resampling.BILINEAR)
    return np.array(columns.resize((side_px, side_px), Image.Resampling.BILINEAR))


def resize(pixels_HWC: NDArray[np.uint8], *, width: int, height: int) -> NDArray[np.uint8]:
    """Bring an image to exactly this size, antialiased bicubic. Grey images [H, W] are taken too."""
    image = Image.fromarray(np.ascontiguousarray(pixels_HWC))
    return np.array(image.resize((width, height), Image.Resampling.BICUBIC))


def scaled(length: int, numerator: int, denominator: int) -> int:
    """length x numerator / denominator, rounded half up in integers, at least 1."""
    return max(1, (2 * length * numerator + denominator) // (2 * denominator))
