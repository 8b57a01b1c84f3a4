"""Confident learning over a probability matrix of any height, a block of rows in memory at a time.

C. Northcutt, L. Jiang, I. Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, 2021: a
class is confident of an image when its probability reaches the mean that images given that class have; images of
which another class than the given one is confident count off the diagonal of the confident joint. Where several
classes are confident the most probable of all counts, as in cleanlab, whose counts and indices these are (a test).

The matrix holds float16 in [0, 1], as little as ranks need: 1.28 million images x 1,000 classes are 2.6 GB on disk.
Non-negative float16 sort like their bits, so all comparisons are done on 16-bit integers, without any conversion.

Legend: N images, K classes, B images of one block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK_VALUES = 16_000_000  # of the matrix, looked at together: 32 MB
SLACK = 1e-6  # of the thresholds: rounding may not decide (cleanlab's)
NONE = -1

Half = NDArray[np.float16]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class ConfidentJoint:
    """thresholds [K]: see above; NaN for a class that no image has. believed [N]: the confident class, or NONE.

    given, believed_by_pair, counts: the joint, cell by cell, without the empty ones. noise_rate: share 0..1 of wrong
    labels, estimated with each given class's counts scaled to its size.
    """

    thresholds: NDArray[np.float64]
    believed: Codes
    given: Codes
    believed_by_pair: Codes
    counts: Codes
    noise_rate: float

    def off_diagonal(self, labels: Codes) -> Codes:
        """The rows whose label another class confidently contradicts, ascending."""
        return np.flatnonzero((self.believed != NONE) & (self.believed != labels))


def confident_joint(p_NK: Half, labels: Codes) -> ConfidentJoint:
    """Count who is confident of what. p_NK: an array or a memory map; labels [N]: the given class, 0..K-1.

    Raises ValueError for labels outside the classes and for probabilities outside 0..1 (NaN too).
    """
    n_classes = p_NK.shape[1]
    if len(labels) != len(p_NK) or (
        len(labels) and not 0 <= labels.min() <= labels.max() < n_classes
    ):
        raise ValueError(
            f"{len(labels)} labels of {n_classes} classes do not fit a matrix of {p_NK.shape}"
        )

    # The class that each row is confidently of. A class that no image was given is never believed in.
    thresholds = _thresholds(p_NK, labels)
    reachable = np.where(np.isnan(thresholds), np.inf, thresholds - SLACK)
    least_K = _least_bits(reachable)
    believed = np.full(len(labels), NONE, dtype=np.int64)
    for rows in _blocks(p_NK):
        believed[rows] = _believed(_bits(p_NK[rows]), least_K)

    # The joint of given and believed class, without the empty cells: of a million there are few.
    sure = believed != NONE
    cells, counts = np.unique(labels[sure] * n_classes + believed[sure], return_counts=True)
    given = cells // n_classes
    right = cells % n_classes
    sizes = np.bincount(labels, minlength=n_classes)
    return ConfidentJoint(
        thresholds=thresholds,
        believed=believed,
        given=given,
        believed_by_pair=right,
        counts=counts,
        noise_rate=_noise_rate(given, right, counts, sizes),
    )


def _thresholds(p_NK: Half, labels: Codes) -> NDArray[np.float64]:
    """The mean probability of each class over the images given it."""
    n_classes = p_NK.shape[1]
    p_given = p_NK[np.arange(len(labels)), labels].astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.bincount(labels, p_given, n_classes) / np.bincount(labels, minlength=n_classes)


def _believed(bits_BK: NDArray[np.uint16], least_K: NDArray[np.uint16]) -> Codes:
    """The confident class of each row: the most probable one where it reaches its threshold, as nearly always."""
    best = bits_BK.argmax(axis=1)
    highest = bits_BK[np.arange(len(best)), best]
    believed = np.where(highest >= least_K[best], best, NONE)

    # The few rows whose most probable class does not reach its threshold: another class may reach a lower one.
    for rows in np.array_split(np.flatnonzero(believed == NONE), max(1, len(best) // 4096)):
        confident_BK = bits_BK[rows] >= least_K
        n_confident = confident_BK.sum(axis=1)
        alone = confident_BK.argmax(axis=1)
        believed[rows] = np.where(
            n_confident > 1, best[rows], np.where(n_confident == 1, alone, NONE)
        )
    return believed


def _bits(p_BK: Half) -> NDArray[np.uint16]:
    """Bits that sort like the numbers: those of 1.0 are the largest, -0.0, negatives and NaN lie above."""
    bits = np.ascontiguousarray(p_BK).view(np.uint16)
    if bits.size and bits.max() > np.float16(1).view(np.uint16):
        raise ValueError("a probability is negative, above 1 or NaN")
    return bits


def _least_bits(thresholds: NDArray[np.float64]) -> NDArray[np.uint16]:
    """The bits of the smallest float16 that is not below each threshold."""
    rounded = thresholds.clip(0).astype(np.float16)
    above = np.where(
        rounded.astype(np.float64) < thresholds, np.nextafter(rounded, np.float16(np.inf)), rounded
    )
    return above.astype(np.float16).view(np.uint16)


def _noise_rate(given: Codes, believed: Codes, counts: Codes, sizes: Codes) -> float:
    """1 - the calibrated diagonal: each row of the joint scaled to the size of its class (section 3.1, equation 3)."""
    total = sizes.sum()
    if not total:
        return float("nan")
    agrees = given == believed
    n_sure = np.bincount(given, counts, len(sizes))
    n_right = np.bincount(given[agrees], counts[agrees], len(sizes))
    missing = n_right == 0  # cleanlab's rule: one right label in each class at least
    calibrated = (n_right + missing) / (n_sure + missing) * sizes
    return float(1 - calibrated.sum() / total)


def _blocks(p_NK: Half) -> Iterator[slice]:
    step = max(1, BLOCK_VALUES // max(p_NK.shape[1], 1))
    for start in range(0, len(p_NK), step):
        yield slice(start, start + step)
