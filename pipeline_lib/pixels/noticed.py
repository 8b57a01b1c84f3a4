"""Remarks about pixels that decode without error and yet may not show the original image."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MID_GREY, GREY_SLACK = (
    128,
    3,
)  # what a decoder paints where the data stopped, and what a second JPEG makes of it
LEAST_GREY_SHARE: Final = 1 / 16  # of the height; less may be a border
LOW_LEVELS: Final = 16  # of 256: 16-bit samples that never pass 12 bits are as dark as that
INVISIBLE: Final = 240  # on white paper nothing is darker than this


def is_low_justified(samples_HW: NDArray[np.integer], stated_bits: int) -> bool:
    """Whether 16-bit samples hold their values in the low bits, in a file that states that it uses fewer bits.

    The PNG specification (11.3.2.7, third edition) wants them in the high bits, the others zero or the high bits again;
    cameras and microscopes write them low. Certain where no sample passes the stated bits and some is of neither form
    that the specification knows, so that nothing is guessed.
    """
    if samples_HW.max() >> stated_bits:
        return False
    spare = 16 - stated_bits
    high_HW = samples_HW >> spare
    repeated_HW = (high_HW << spare) | (high_HW >> (stated_bits - spare))
    return bool(((samples_HW != high_HW << spare) & (samples_HW != repeated_HW)).any())


def ends_grey(pixels_HWC: NDArray[np.uint8]) -> bool:
    """Whether the last rows are the grey that decoders paint for missing data: the file was cut off, then saved again.

    pixels_HWC: as stored, before the orientation rule. An image that is grey all over is not meant.
    """
    distance_HWC = np.abs(pixels_HWC[-1:].astype(np.int16) - MID_GREY)
    if distance_HWC.max() > GREY_SLACK:  # the usual case, settled by one row
        return False
    height = len(pixels_HWC)
    away_H = np.abs(pixels_HWC.astype(np.int16) - MID_GREY).max(axis=(1, 2))
    painted = np.flatnonzero(away_H > GREY_SLACK)  # rows that show something
    return len(painted) > 0 and bool(height - 1 - painted[-1] >= height * LEAST_GREY_SHARE)


def on_paper(image: Image.Image) -> tuple[NDArray[np.uint8], bool]:
    """Put an image with transparency on white, or on black if nothing would be visible on white (white icons).

    Returns uint8 RGB, and whether the paper is black. Black only when no pixel on white is darker than INVISIBLE in any
    channel although the transparency has a shape.
    """
    drawn = image.convert("RGBA")
    on_white = _laid_over(drawn, "white")
    alpha_HW = np.asarray(drawn.getchannel("A"))
    if on_white.min() >= INVISIBLE and alpha_HW.min() < alpha_HW.max():
        return _laid_over(drawn, "black"), True
    return on_white, False


def _laid_over(drawn: Image.Image, colour: str) -> NDArray[np.uint8]:
    paper = Image.new("RGBA", drawn.size, colour)
    paper.alpha_composite(drawn)
    return np.asarray(paper.convert("RGB"))
