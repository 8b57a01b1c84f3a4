"""Random numbers that are a pure function of (seed, epoch, picture, which draw): no state, no order, no threads.

So a run can be resumed at any epoch, workers can be any number, and a picture keeps its draws when others come or go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
MASK = 2**64 - 1


class Draw(IntEnum):
    """What a number is for. Values are part of the result: never renumber; new ones from 66."""

    ORDER = 0
    FLIP = 1
    SHIFT_Y = 2
    SHIFT_X = 3
    CROP_TOP = 4
    CROP_LEFT = 5
    ROTATION = 6
    ZOOM = 7
    SHEAR = 8
    BRIGHTNESS = 9
    CONTRAST = 10
    SATURATION = 11
    CUTOUT_Y = 12
    CUTOUT_X = 13
    TRY = 16  # up to 63: 16 + 2 * number of the try: area of the crop; + 1: its aspect
    CLASS = 64
    PICTURE_OF_CLASS = 65


def picture_keys(image_ids: Sequence[str]) -> U64:
    """A 64-bit key per picture, from its image_id alone (blake2b)."""
    digests = b"".join(hashlib.blake2b(image_id.encode(), digest_size=8).digest() for image_id in image_ids)
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def repeated_keys(keys_N: U64, repetitions_N: npt.NDArray[np.int64]) -> U64:
    """The key of a picture that was shown so many times before in the epoch: its own the first time."""
    return np.where(repetitions_N == 0, keys_N, _mix(keys_N ^ _mix(repetitions_N.astype(np.uint64))))


def random_bits(keys_N: U64, draw: int, *, seed: int, epoch: int) -> U64:
    """64 random bits per picture.

    Source: the output function of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), chained over the parts of the key.
    """
    state = np.zeros(1, np.uint64)
    for part in (seed, epoch, draw):
        state = _mix(state ^ np.uint64(part & MASK))
    return _mix(_mix(keys_N) ^ state)


def random_uniform(keys_N: U64, draw: int, *, seed: int, epoch: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) per picture, with 53 random bits."""
    return (random_bits(keys_N, draw, seed=seed, epoch=epoch) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(x: U64) -> U64:
    x = x + np.uint64(0x9E3779B97F4A7C15)  # arrays wrap around, as meant
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
