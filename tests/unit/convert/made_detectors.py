"""Detectors for the tests of pixelation."""

from pickle import loads as loads  # what no parameter may name

import numpy as np
import numpy.typing as npt


def corner(pixels_HWC: npt.NDArray[np.uint8]) -> list[tuple[int, int, int, int]]:
    """One box, part of it outside the image."""
    return [(-5, -5, 20, 12)]


def nothing(pixels_HWC: npt.NDArray[np.uint8]) -> list[tuple[int, int, int, int]]:
    return []
