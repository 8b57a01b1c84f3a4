"""A face detector for `convert.pixelate`: `pipeline_lib.convert.faces:frontal`. Needs the extra `faces`.

It uses the cascade of local binary patterns that OpenCV trained and scikit-image ships, so nothing is downloaded. The
cascade finds upright frontal faces and misses others: profiles, small or turned heads. Check a sample of the results,
and name a detector of your own if you need more.
"""

from __future__ import annotations

import functools
from typing import Any

from pipeline_lib.betons.layout import Array

SMALLEST_PX = 24  # the cascade's own window
MARGIN = (
    0.15  # share of the box's side added at each edge, since the window leaves out hair and chin
)


def frontal(pixels_HWC: Array) -> list[tuple[int, int, int, int]]:
    """Find frontal faces of at least SMALLEST_PX; return boxes (left, top, right, bottom) with a margin."""
    height, width = pixels_HWC.shape[:2]
    if min(height, width) < SMALLEST_PX:
        return []
    found = _cascade().detect_multi_scale(
        img=pixels_HWC,
        scale_factor=1.2,
        step_ratio=1,
        min_size=(SMALLEST_PX, SMALLEST_PX),
        max_size=(min(height, width),) * 2,
    )
    margins = [(one, int(MARGIN * one["width"]), int(MARGIN * one["height"])) for one in found]
    return [
        (one["c"] - x, one["r"] - y, one["c"] + one["width"] + x, one["r"] + one["height"] + y)
        for one, x, y in margins
    ]


@functools.cache
def _cascade() -> Any:
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())
