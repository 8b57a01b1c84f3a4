"""Hashes of pixels: one that changes with any pixel, one that survives re-encoding and resizing."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

PHASH_SIDE_PX: Final = 32
FREQUENCIES: Final = 8


def pixel_hash(pixels_HWC: NDArray[np.uint8]) -> str:
    """blake2b-128 of the shape and the bytes of canonical pixels, in hex; metadata and file format do not enter."""
    digest = hashlib.blake2b(repr(pixels_HWC.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels_HWC).data)
    return digest.hexdigest()


def phash(grey_HW: NDArray[np.uint8]) -> int:
    """64-bit DCT perceptual hash of a 32x32 grey picture; the first bit in reading order is the highest.

    Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010), in the form that the imagehash
    package made common: the 8x8 lowest frequencies of the DCT-II, each compared with their median. Of no use below
    about 64 px, where different digits share hashes.
    """
    assert grey_HW.shape == (PHASH_SIDE_PX, PHASH_SIDE_PX), grey_HW.shape
    low = _DCT @ grey_HW.astype(np.float64) @ _DCT.T
    bits = (low > np.median(low)).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _dct_rows() -> NDArray[np.float64]:
    """The first rows of the DCT-II matrix, without its scale, which the comparison with the median cancels."""
    frequency, place = np.arange(FREQUENCIES)[:, None], np.arange(PHASH_SIDE_PX)[None, :]
    return np.cos(np.pi * frequency * (2 * place + 1) / (2 * PHASH_SIDE_PX))


_DCT: Final = _dct_rows()
