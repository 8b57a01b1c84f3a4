"""Make the small colour view of a photograph by which `curate` compares copies."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline_lib.pixels.resize import resize

SIDE_PX: Final = 96  # at 32 px different garments in one pose agree like copies
LEAST_SIDE_PX: Final = 64  # smaller images are compared by their 32 px thumbnails
QUALITY: Final = 90  # with full colour resolution: some 4.6 kB, a sixth of the pixels


def small_view(pixels_HWC: NDArray[np.uint8]) -> bytes | None:
    """Reduce the whole image to a square of SIDE_PX as JPEG, whatever its aspect; None if a side is below 64 px."""
    if min(pixels_HWC.shape[:2]) < LEAST_SIDE_PX:
        return None
    file = io.BytesIO()
    small = resize(pixels_HWC, width=SIDE_PX, height=SIDE_PX)
    Image.fromarray(small).save(file, "JPEG", quality=QUALITY, subsampling=0)
    return file.getvalue()
