"""How one photograph lies within another, by matched keypoints: inside a screen, cut from a corner, turned a little.

Keypoints are SIFT's (Lowe, "Distinctive image features from scale-invariant keypoints", 2004), some 90 in a view of 96 px,
a match is the nearest descriptor both ways and much nearer than the second, and RANSAC (Fischler and Bolles, 1981) finds
the affine map that most of them follow: OpenCV's, whose random numbers begin anew at each call. A map only says where to
look: `duplicate_photographs.py` decides. Of 2,348 pairs of different garments that are nearest neighbours in the features of
a network, 75 have a map of LEAST_MATCHES.

Legend: K keypoints, D = 128 numbers of a descriptor, H, W, C a view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_lib.curate.overlay import SIDE_PX, Bytes, Floats

MOST_KEYPOINTS: Final = 200
LEAST_CONTRAST: Final = 0.02  # half of Lowe's: a plain garment has few strong keypoints
MOST_ASPECT: Final = 4.0
RATIO: Final = 0.8  # of the distances to the nearest and the second nearest; Lowe's
LEAST_MATCHES: Final = 5  # that follow one map; three points always do
REACH_PX: Final = 2.0  # how far a point may lie from where the map puts it
TRIALS: Final = 1000
SURE_ENOUGH: Final = 0.999
cv2.setNumThreads(1)


@dataclass(frozen=True)
class Keypoints:
    """points_K2: places (x, y) in px. descriptors_KD: whole numbers of 0..255, as OpenCV rounds them.

    Sums of their products stay under 2^24, so that float32 holds them exactly, in whatever order they are added.
    """

    points_K2: Floats
    descriptors_KD: NDArray[np.uint8]


def keypoints(view_HWC: Bytes, *, aspect: float) -> Keypoints:
    """The strongest keypoints of a view, found in its true proportions. aspect: width by height of the image.

    A view is square, whatever its image, and SIFT knows no stretching.
    """
    grey_HW = cv2.cvtColor(view_HWC, cv2.COLOR_RGB2GRAY)
    stretch = min(max(aspect, 1 / MOST_ASPECT), MOST_ASPECT) ** 0.5
    size = (round(SIDE_PX * stretch), round(SIDE_PX / stretch))
    sift = cv2.SIFT.create(MOST_KEYPOINTS, contrastThreshold=LEAST_CONTRAST)
    found, descriptors = sift.detectAndCompute(
        cv2.resize(grey_HW, size, interpolation=cv2.INTER_LINEAR), None
    )
    if not found:
        return Keypoints(np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8))
    points = (np.array([point.pt for point in found]) + 0.5) * SIDE_PX / np.array(size) - 0.5
    return Keypoints(points.astype(np.float32), np.asarray(descriptors, np.uint8))


def matched_place(a: Keypoints, b: Keypoints) -> Floats | None:
    """The affine map from a's places to b's that most matches follow; None where fewer than LEAST_MATCHES do."""
    here, there = _matches(a.descriptors_KD, b.descriptors_KD)
    if len(here) < LEAST_MATCHES:
        return None
    place, follows = cv2.estimateAffine2D(
        a.points_K2[here],
        b.points_K2[there],
        method=cv2.RANSAC,
        ransacReprojThreshold=REACH_PX,
        maxIters=TRIALS,
        confidence=SURE_ENOUGH,
    )
    if place is None or follows.sum() < LEAST_MATCHES:
        return None
    return np.asarray(place, dtype=np.float32)


def _matches(
    a_KD: NDArray[np.uint8], b_KD: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of a and of b that are each other's nearest, and nearer than RATIO of the second nearest."""
    if min(len(a_KD), len(b_KD)) < LEAST_MATCHES:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    a, b = a_KD.astype(np.float32), b_KD.astype(np.float32)
    squared = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * (a @ b.T)
    rows = np.arange(len(a))
    nearest = squared.argmin(axis=1)
    both_ways = squared.argmin(axis=0)[nearest] == rows
    second = np.partition(squared, 1, axis=1)[:, 1]
    chosen = np.flatnonzero(both_ways & (squared[rows, nearest] < RATIO**2 * second))
    return chosen, nearest[chosen]
