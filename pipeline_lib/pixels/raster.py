"""The result of both decoders: the pixels as stored, before the orientation rule, and findings on the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.pixels.exif import Exif
from pipeline_lib.pixels.rules import Undecodable
from pipeline_lib.reasons import Reason


@dataclass(frozen=True)
class Raster:
    """pixels_HWC: uint8 RGB as stored. The other fields as in `Decoded`."""

    pixels_HWC: NDArray[np.uint8]
    mode: str
    exif: Exif
    n_frames: int
    trailing_bytes: int
    on_black: bool = False
    low_bits: bool = False


MAX_SIDE_PX = 65_500  # libjpeg's limit: a longer side could not be stored again


def memory_ran_out(error: Exception) -> bool:
    """Whether a decoder ran out of memory, by the messages of libjpeg, OpenCV and Pillow."""
    return any(words in str(error).lower() for words in ("insufficient memory", "out of memory"))


def refuse_bomb(width_px: int, height_px: int, max_pixels: int) -> None:
    """Raise Undecodable(too_many_pixels) by the size in the header, before memory is allocated."""
    if width_px * height_px > max_pixels:
        raise Undecodable(
            Reason.TOO_MANY_PIXELS, f"{width_px} x {height_px}, the limit is {max_pixels} pixels"
        )
    if max(width_px, height_px) > MAX_SIDE_PX:
        raise Undecodable(
            Reason.TOO_MANY_PIXELS,
            f"{width_px} x {height_px}, the longest side is {MAX_SIDE_PX} px",
        )
