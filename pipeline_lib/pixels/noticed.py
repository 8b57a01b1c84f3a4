"""Remarks about pixels that decode without error and yet may not show the original picture."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MID_GREY, GREY_SLACK = 128, 3  # what a decoder paints where the data stopped, and what a second JPEG makes of it
LEAST_GREY_SHARE: Final = 1 / 16  # of the height; less may be a border
LOW_LEVELS: Final = 16  # of 256: 16-bit samples that never pass 12 bits are as dark as that
INVISIBLE: Final = 240  # on white paper nothing is darker than this


def ends_grey(pixels_HWC: NDArray[np.uint8]) -> bool:
    """Whether the last rows are the grey that decoders paint where the data stopped: it was cut off, then saved again.

    pixels_HWC: as stored, before the orientation rule. A picture that is grey all over is not meant.
    """
    distance_HWC = np.abs(pixels_HWC[-1:].astype(np.int16) - MID_GREY)
    if distance_HWC.max() > GREY_SLACK:  # the usual case, settled by one row
        return False
    height = len(pixels_HWC)
    away_H = np.abs(pixels_HWC.astype(np.int16) - MID_GREY).max(axis=(1, 2))
    painted = np.flatnonzero(away_H > GREY_SLACK)  # rows that show something
    return len(painted) > 0 and bool(height - 1 - painted[-1] >= height * LEAST_GREY_SHARE)


def on_paper(picture: Image.Image) -> tuple[NDArray[np.uint8], bool]:
    """Lay a picture with transparency over white; over black where white would swallow all of it, as white icons.

    Returns uint8 RGB, and whether the paper is black. Black only when no pixel on white is darker than INVISIBLE in any
    channel although the transparency has a shape.
    """
    drawn = picture.convert("RGBA")
    on_white = _laid_over(drawn, "white")
    alpha_HW = np.asarray(drawn.getchannel("A"))
    if on_white.min() >= INVISIBLE and alpha_HW.min() < alpha_HW.max():
        return _laid_over(drawn, "black"), True
    return on_white, False


def _laid_over(drawn: Image.Image, colour: str) -> NDArray[np.uint8]:
    paper = Image.new("RGBA", drawn.size, colour)
    paper.alpha_composite(drawn)
    return np.asarray(paper.convert("RGB"))
