"""Measure the look of an image: light, contrast, blur. `curate` judges the values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

BLUR_SIGMA_PX: Final = 1.5
BACKGROUND_LEVELS: Final = 8  # to each side of the commonest level: the noise of encoding
FLAT_VARIANCE: Final = 1e-6  # of the Laplacian; below it there is only rounding of the arithmetic
FINE_SIGMA_PX: Final = 1.0  # of the edges that a shaken image has lost in one direction
COARSE_SIGMA_PX: Final = 2.0  # and of those it still has
CLIPPED_LEVEL: Final = 250  # of 255, less the noise of encoding
BLEACHED_LEVEL: Final = (
    64  # of the lowest channel; a pure yellow or red has less, and is sound at the end of the scale
)
SAMPLED_PX: Final = 256  # short side of the sample of pixels in which clipped ones are counted
cv2.setNumThreads(1)  # the stage has a process per core already


@dataclass(frozen=True)
class Quality:
    """Luminance percentiles 0..255, entropy 0..8 bit, blur ratio 0..1 (near 1: blurred; 0 for a flat image).

    subject_bit: the entropy of the levels that are not background, times the share of the pixels that have them, 0..8.
    least_sharpness: see there.
    """

    luminance_p1: int
    luminance_p50: int
    luminance_p99: int
    entropy_bit: float
    subject_bit: float
    blur_ratio: float
    least_sharpness: float


@dataclass(frozen=True)
class Clipping:
    """Shares 0..1 of the pixels: those with a channel at its end and none low, and the white ones, with all there."""

    clipped_share: float
    white_share: float


def measure(grey_HW: NDArray[np.uint8]) -> Quality:
    """Measure a grey image, best one of about 256 px: the blur ratio depends on the scale."""
    counts = np.bincount(grey_HW.ravel(), minlength=256)
    p1, p50, p99 = (_percentile(counts, percent) for percent in (1, 50, 99))
    return Quality(
        p1,
        p50,
        p99,
        _entropy_bit(counts),
        _subject_bit(counts),
        blur_ratio(grey_HW),
        least_sharpness(grey_HW),
    )


def clipping(pixels_HWC: NDArray[np.uint8]) -> Clipping:
    """Count the pixels whose colour has reached the end of the scale, in a sample of every n-th row and column."""
    step = max(1, min(pixels_HWC.shape[:2]) // SAMPLED_PX)
    red, green, blue = np.moveaxis(pixels_HWC[::step, ::step], 2, 0)
    highest = np.maximum(np.maximum(red, green), blue)
    lowest = np.minimum(np.minimum(red, green), blue)
    is_clipped = (highest >= CLIPPED_LEVEL) & (lowest >= BLEACHED_LEVEL)
    return Clipping(float(is_clipped.mean()), float((lowest >= CLIPPED_LEVEL).mean()))


def blur_ratio(grey_HW: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian after one more blur, over before: sharp images lose most of it, blurred ones little.

    The re-blur idea is of Crete et al., "The blur effect" (SPIE 2007), the variance of the Laplacian of Pech-Pacheco et
    al. (ICPR 2000). A first blur takes away rounding and JPEG noise: it is all the detail that a blurred image has,
    and without that step a strongly blurred one counts as sharp. Measured on 40 crops of scikit-learn's two photographs
    (256 px, JPEG 90), 2nd to 98th percentile: sharp .24 to .39, Gaussian blur of 2 px .54 to .63, 3 px .69 to .75, 6 px
    .82 to .89; a scan of 8 px enlarged to 32 px .40 to .60.
    """
    smooth = _blurred(grey_HW.astype(np.float32))
    before = float(cv2.Laplacian(smooth, cv2.CV_32F).var())
    if before < FLAT_VARIANCE:
        return 0.0
    return float(cv2.Laplacian(_blurred(smooth), cv2.CV_32F).var()) / before


def least_sharpness(grey_HW: NDArray[np.uint8]) -> float:
    """Energy of fine edges over that of coarser ones, in the direction with least; 0 for a flat image.

    A camera that moves takes away the edges across its path and leaves those along it, which `blur_ratio` counts. So the
    ratio is taken in every direction, from the structure tensors (J. Bigun, G. Granlund, ICCV 1987) at two scales: its
    extremes are their generalised eigenvalues. The least is lowered by the root of how far it lies under the greatest.
    Measured on clothing photographs at 256 px: half of them have more than 2.0, one in two hundred less than 1.42;
    moved by 9 to 21 px of 400 px, 88 to 100 % have less than 1.35. What is slightly out of focus has less, too.
    """
    fine, coarse = (
        _structure_tensor(grey_HW, sigma_px) for sigma_px in (FINE_SIGMA_PX, COARSE_SIGMA_PX)
    )
    # Of a 2 x 2 matrix: trace and determinant of coarse^-1 fine.
    (a, b), (_, c) = coarse
    determinant = a * c - b * b
    if determinant < FLAT_VARIANCE:
        return 0.0
    trace = (c * fine[0, 0] - 2 * b * fine[0, 1] + a * fine[1, 1]) / determinant
    product = (fine[0, 0] * fine[1, 1] - fine[0, 1] ** 2) / determinant
    root = np.sqrt(max(trace**2 / 4 - product, 0.0))
    least, greatest = max(trace / 2 - root, 0.0), trace / 2 + root
    return float(least * np.sqrt(least / greatest)) if greatest > 0 else 0.0


def _structure_tensor(grey_HW: NDArray[np.uint8], sigma_px: float) -> NDArray[np.float64]:
    """Mean products of the derivatives across and down [2, 2], after a blur that takes away noise."""
    smooth = cv2.GaussianBlur(grey_HW.astype(np.float32), (0, 0), sigma_px)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx, ksize=1) for dx in (1, 0))
    crossed = float((across * down).mean(dtype=np.float64))
    squares = [float((one * one).mean(dtype=np.float64)) for one in (across, down)]
    return np.array([[squares[0], crossed], [crossed, squares[1]]])


def _blurred(grey_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(grey_HW, (0, 0), BLUR_SIGMA_PX), dtype=np.float32)


def _percentile(counts: NDArray[np.int64], percent: int) -> int:
    """The smallest level that at least `percent` per cent of the pixels do not pass."""
    return int(np.searchsorted(100 * np.cumsum(counts), percent * counts.sum()))


def _entropy_bit(counts: NDArray[np.int64]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum()) + 0.0  # + 0.0: no negative zero


def _subject_bit(counts: NDArray[np.int64]) -> float:
    """What is left of the entropy without a plain background, and without the bits that tell background from subject.

    A product on a white page has little entropy, however much there is to see in it: see `curate/quality.py`.
    """
    subject = counts.copy()
    background = int(counts.argmax())
    subject[max(0, background - BACKGROUND_LEVELS) : background + BACKGROUND_LEVELS + 1] = 0
    if not subject.any():
        return 0.0
    return float(subject.sum() / counts.sum()) * _entropy_bit(subject)
