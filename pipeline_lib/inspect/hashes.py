"""Hash pixels: exactly, and perceptually, robust to re-encoding, resizing, cropping and borders."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline_lib.pixels.resize import resize

VIEW_PX: Final = 128  # side of the view from which all perceptual hashes are computed
PHASH_SIDE_PX: Final = 32
FREQUENCIES: Final = 8
CROPS: Final = (0.95, 0.90, 0.85, 0.80)  # of the side
MIDDLE: Final = 0.80  # of the side: what a caption of a tenth leaves
BORDER_RANGE: Final = (
    12  # a line of a border has all its pixels within this many grey levels: JPEG's noise passes
)
BORDER_PART: Final = 4  # at most a fourth of the side is taken off at each edge
Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True)
class PerceptualHashes:
    """64-bit hashes of one image.

    whole: of the image without a border. crops: of its centres, one for each of CROPS. uncut: of the image with its
    border; equal to `whole` where it has none. middle: of the centre of `uncut`, MIDDLE of the side.
    """

    whole: int
    crops: tuple[int, ...]
    uncut: int
    middle: int

    @property
    def variants(self) -> tuple[int, ...]:
        """All but the first, in the order of the column phash_variants."""
        return (*self.crops, self.uncut, self.middle)


def pixel_hash(pixels_HWC: NDArray[np.uint8]) -> str:
    """blake2b-128 of the shape and the bytes of canonical pixels, in hex; metadata and file format do not enter."""
    digest = hashlib.blake2b(repr(pixels_HWC.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels_HWC).data)
    return digest.hexdigest()


def perceptual_hashes(grey_HW: NDArray[np.uint8]) -> PerceptualHashes:
    """The hashes that tell near copies of a grey image: of all of it but a border, of its centre, and of all of it.

    A copy that lost its edges has the hash of one of the original's centres. A plain background is no border, but
    looks like one: a framed copy of such an image has the hash of the original uncut. A caption along an edge leaves
    the middle. The image is made small once, so seven hashes cost little more than one.
    """
    small = resize(grey_HW, width=VIEW_PX, height=VIEW_PX)
    bare, uncut = _without_border(small), (0, 0, VIEW_PX, VIEW_PX)
    image = Image.fromarray(small)

    def hash_of(box: Box, part: float) -> int:
        left, top, right, bottom = box
        across, down = (right - left) * (1 - part) / 2, (bottom - top) * (1 - part) / 2
        centre = (left + across, top + down, right - across, bottom - down)
        return phash(
            np.asarray(image.resize((PHASH_SIDE_PX,) * 2, Image.Resampling.BICUBIC, box=centre))
        )

    crops = tuple(hash_of(bare, part) for part in CROPS)
    return PerceptualHashes(hash_of(bare, 1.0), crops, hash_of(uncut, 1.0), hash_of(uncut, MIDDLE))


def phash(grey_HW: NDArray[np.uint8]) -> int:
    """64-bit DCT perceptual hash of a 32x32 grey image; the first bit in reading order is the highest.

    The signs of the 8x8 lowest frequencies of the DCT-II (the first, the mean, is always set). After Zauner,
    "Implementation and benchmarking of perceptual image hash functions" (2010), who compares with the median instead:
    that of the signs is as robust, and the hash of a mirrored or turned image follows from it without the image
    (`curate/duplicate_hashes.py`). Of no use below about 64 px, where different digits share hashes.

    A frequency that an image has not (half of those of a symmetric one) is 0 on every processor and counts as no sign:
    the sums are of whole numbers below 2^53, so float64 holds them exactly, in whatever order they are added. With the
    cosines themselves the bit would be the sign of the rounding of one BLAS kernel.
    """
    assert grey_HW.shape == (PHASH_SIDE_PX, PHASH_SIDE_PX), grey_HW.shape
    low = _DCT @ grey_HW.astype(np.float64) @ _DCT.T
    return int.from_bytes(np.packbits((low > 0).ravel()).tobytes(), "big")


def _without_border(small_HW: NDArray[np.uint8]) -> Box:
    """The box without lines of one colour at the edges; all of it where no others are left."""
    top, bottom = _busy(small_HW)
    left, right = _busy(small_HW.T)
    return left, top, right, bottom


def _busy(lines_LP: NDArray[np.uint8]) -> tuple[int, int]:
    """The range of lines between the plain ones at both ends, of which at most a fourth at each end are left out."""
    busy = np.flatnonzero(np.ptp(lines_LP, axis=1) > BORDER_RANGE)
    n = len(lines_LP)
    if not len(busy):
        return 0, n
    return min(int(busy[0]), n // BORDER_PART), max(int(busy[-1]) + 1, n - n // BORDER_PART)


def _dct_rows() -> NDArray[np.float64]:
    """The first rows of the DCT-II matrix as whole numbers of up to 2^17; a scale changes no sign.

    255 * 32 * 32 * 2^34 < 2^52 bounds what `phash` adds up.
    """
    frequency, place = np.arange(FREQUENCIES)[:, None], np.arange(PHASH_SIDE_PX)[None, :]
    cosines = np.cos(np.pi * frequency * (2 * place + 1) / (2 * PHASH_SIDE_PX))
    return np.asarray(np.rint(2**17 * cosines), dtype=np.float64)


_DCT: Final = _dct_rows()
