"""From the pixels of a stored image to those of its view: cut, resize, mirror, then the effects, in this order.

1. The box of the view is cut out, resized to the side asked for, and mirrored.
2. Shift, rotation, zoom and shear as one affine map about the centre, M = shift * R(angle) * zoom * [1, -tan(shear)],
   so angles turn clockwise: torchvision's `functional.affine`, bilinear. What comes in at the border repeats the edge.
   A shift alone moves whole pixels and interpolates nothing.
3. Brightness f: f * v. Contrast f: f * v + (1 - f) * (mean luma of the view). Saturation f: f * v + (1 - f) * (luma of
   the pixel). Luma is 0.2989 R + 0.587 G + 0.114 B. As torchvision's `functional.adjust_*`, which draws their order too
   and rounds down; here they come in this order and are rounded to the nearest.
4. Cutout: a grey square whose centre may be any pixel, so that part of it may lie outside (DeVries and Taylor,
   "Improved regularization of convolutional neural networks with cutout", 2017, arXiv 1708.04552).

The C decoder does step 1 itself, byte for byte as `cut_and_resize` does it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader.augmentation import Views
from pipeline_lib.pixels import view

# OpenCV has no setting per thread, and each of our threads works on an image of its own.
cv2.setNumThreads(1)

LUMA = (0.2989, 0.587, 0.114)
UNWARPED = (0.0, 1.0, 0.0)  # rotation in degrees, zoom factor, shear in degrees
CUTOUT_GREY = 128  # near the middle of what networks see, whatever their normalisation


def cut_and_resize(image_HWC: Array, box: Array, flip: bool, out_HWC: Array) -> None:
    """Write one view: cut the box, resize it to the size of `out_HWC`, mirror."""
    top, left, height, width = box
    side = len(out_HWC)
    view_HWC = image_HWC[top : top + height, left : left + width]
    # A box of the right size is shown as it is, without a resize that would change nothing.
    if (height, width) != (side, side):
        view_HWC = view(view_HWC, side_px=side)
    if flip:
        view_HWC = view_HWC[:, ::-1]
    out_HWC[:] = view_HWC


def apply_effects(views: Views, n: int, image_HWC: Array) -> None:
    """Change image `n` of a batch, already cut, resized and mirrored: uint8 [side, side, 3], contiguous, in place."""
    down, right = views.shifts_N2[n].tolist()
    warp = (float(views.rotations_N[n]), float(views.zooms_N[n]), float(views.shears_N[n]))
    # One interpolation at most: the shift is part of the affine map where there is one.
    if warp != UNWARPED:
        _warp(image_HWC, _inverse_affine(len(image_HWC), down, right, *warp))
    elif down or right:
        _shift(image_HWC, down, right)
    _recolour(
        image_HWC,
        float(views.brightness_N[n]),
        float(views.contrast_N[n]),
        float(views.saturation_N[n]),
    )
    if views.cutout_px:
        _hide(image_HWC, *views.cutouts_N2[n].tolist(), side_px=views.cutout_px)


def _shift(image_HWC: Array, down: int, right: int) -> None:
    # A shift beyond the last row or column shows the edge alone, as one of exactly that length does.
    last = len(image_HWC) - 1
    down = min(max(down, -last), last)
    right = min(max(right, -last), last)

    kept_HWC = image_HWC[
        max(-down, 0) : last + 1 - max(down, 0), max(-right, 0) : last + 1 - max(right, 0)
    ]
    borders = (max(down, 0), max(-down, 0), max(right, 0), max(-right, 0))
    image_HWC[:] = cv2.copyMakeBorder(kept_HWC, *borders, cv2.BORDER_REPLICATE)


def _warp(image_HWC: Array, inverse: Array) -> None:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    image_HWC[:] = cv2.warpAffine(
        image_HWC, inverse, image_HWC.shape[:2], flags=flags, borderMode=cv2.BORDER_REPLICATE
    )


def _inverse_affine(
    side: int, down: int, right: int, degrees: float, zoom: float, shear: float
) -> Array:
    """Where each pixel comes from, float64 [2, 3]: (x, y) of the source from (x, y, 1) of the view."""
    angle = math.radians(degrees)
    slope = math.tan(math.radians(shear))
    cos, sin = math.cos(angle), math.sin(angle)
    across = np.array([cos - slope * sin, sin + slope * cos]) / zoom
    along = np.array([-sin, cos]) / zoom

    # The map turns about the centre of the view, so the constant undoes the way from the corner to it.
    centre = (side - 1) / 2
    from_centre = np.array([-centre - right, -centre - down])
    return np.array([[*row, centre + row @ from_centre] for row in (across, along)])


def _recolour(image_HWC: Array, brightness: float, contrast: float, saturation: float) -> None:
    if brightness != 1:
        _mix(image_HWC, brightness * np.eye(3))
    if contrast != 1:
        mean_luma = float(np.dot(LUMA, cv2.mean(image_HWC)[:3]))
        _mix(image_HWC, contrast * np.eye(3), (1 - contrast) * mean_luma)
    if saturation != 1:
        _mix(image_HWC, saturation * np.eye(3) + (1 - saturation) * np.array([LUMA] * 3))


def _mix(image_HWC: Array, mix_CC: Array, offset: float = 0.0) -> None:
    """Each colour becomes a mixture of all three plus a constant, rounded and kept within a byte."""
    cv2.transform(image_HWC, np.column_stack([mix_CC, np.full(3, offset)]), dst=image_HWC)


def _hide(image_HWC: Array, y: float, x: float, *, side_px: int) -> None:
    """Fill a square around the pixel at (y, x), shares of the side."""
    top, left = (int(share * len(image_HWC)) - side_px // 2 for share in (y, x))
    image_HWC[max(top, 0) : max(top + side_px, 0), max(left, 0) : max(left + side_px, 0)] = (
        CUTOUT_GREY
    )
