"""A face detector for `convert.pixelate`: `pipeline_lib.convert.faces:frontal`. Needs the extra `faces`.

The cascade of local binary patterns that OpenCV trained and scikit-image ships, so that nothing is downloaded. It is
meant for upright frontal faces and misses others: profiles, small or turned heads. Look at a sample of what it did, and
name a detector of your own where that matters.
"""

from __future__ import annotations

import functools
from typing import Any

from pipeline_lib.betons.layout import Array

SMALLEST_PX = 24  # the cascade's own window
MARGIN = 0.15  # of the box's side, at each edge: the window leaves out hair and chin


def frontal(pixels_HWC: Array) -> list[tuple[int, int, int, int]]:
    """Boxes (left, top, right, bottom) of frontal faces of at least SMALLEST_PX, with a margin."""
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
        (one["c"] - x, one["r"] - y, one["c"] + one["width"] + x, one["r"] + one["height"] + y) for one, x, y in margins
    ]


@functools.cache
def _cascade() -> Any:
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())
