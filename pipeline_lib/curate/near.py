"""Pairs of small images that look the same, by their pixels.

Under 64 px a perceptual hash is no use (381 of 1,797 genuine digits pair up at distance 6). The RMS difference of
32x32 grey thumbnails tells: between different digits it is at least 8.2 levels, between a digit and its copy (JPEG
q80 to q95, brightness +-2) at most 3.5.

Legend: N images, P pixels of a thumbnail (1,024), C cells of a coarse thumbnail (64).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.curate.hash_pairs import Pairs

THUMBNAIL_SIDE_PX, COARSE_SIDE = 32, 8
BLOCK_ROWS = 2048  # 2048 x 2048 float32 distances: 16 MB at a time
ROUNDING = 0.5  # squared grey levels: float32 error of a coarse distance, with room; candidates are checked in integers
FAINT = 0.2  # near means within 5 levels and within a fifth of the image's own contrast, or blank pages would all pair


def alike_pixels(thumbnails_NP: NDArray[np.uint8], *, max_rms: float) -> Pairs:
    """Pairs whose thumbnails differ by at most `max_rms` grey levels (RMS), and by little of their own contrast.

    Two bounds leave few pairs to compare in full: the RMS difference is at least the difference of the means, and at
    least the RMS difference of block means (both by Cauchy-Schwarz). No pair is lost to them.
    """
    n = len(thumbnails_NP)
    coarse_NC = _block_means(thumbnails_NP)
    means = coarse_NC.mean(axis=1)
    order = np.argsort(means, kind="stable")
    sorted_means, coarse_NC = means[order], coarse_NC[order]
    found: list[Pairs] = [np.empty((0, 2), np.int64)]
    for start in range(0, n, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, n)
        reach = int(np.searchsorted(sorted_means, sorted_means[stop - 1] + max_rms + ROUNDING, side="right"))
        for other in range(start, reach, BLOCK_ROWS):
            pairs = _coarse_pairs(coarse_NC, (start, stop), (other, min(other + BLOCK_ROWS, reach)), max_rms)
            found.append(_alike(thumbnails_NP, order[pairs], max_rms))
    return _ordered(np.concatenate(found))


def _block_means(thumbnails_NP: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means of the 4x4 blocks of each thumbnail, float32 [N, C]."""
    block = THUMBNAIL_SIDE_PX // COARSE_SIDE
    cells = thumbnails_NP.reshape(-1, COARSE_SIDE, block, COARSE_SIDE, block)
    return np.asarray(cells.mean(axis=(2, 4), dtype=np.float32).reshape(-1, COARSE_SIDE**2))


def _coarse_pairs(
    coarse_NC: NDArray[np.float32], left: tuple[int, int], right: tuple[int, int], max_rms: float
) -> Pairs:
    """Pairs (i < j) of two ranges of rows that may be within `max_rms`, by their block means."""
    a, b = coarse_NC[slice(*left)], coarse_NC[slice(*right)]
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * (a @ b.T)
    near = np.argwhere(squared <= (max_rms**2 + ROUNDING) * coarse_NC.shape[1])
    pairs = near + np.array([left[0], right[0]])
    return np.asarray(pairs[pairs[:, 0] < pairs[:, 1]])


def _alike(thumbnails_NP: NDArray[np.uint8], pairs: Pairs, max_rms: float) -> Pairs:
    """Those pairs that hold in full resolution, in exact arithmetic but for the square root."""
    kept = [np.empty((0, 2), np.int64)]
    for start in range(0, len(pairs), BLOCK_ROWS):
        part = pairs[start : start + BLOCK_ROWS]
        a, b = thumbnails_NP[part[:, 0]].astype(np.int32), thumbnails_NP[part[:, 1]].astype(np.int32)
        rms = np.sqrt(((a - b) ** 2).mean(axis=1))
        contrast = np.minimum(a.std(axis=1), b.std(axis=1))
        kept.append(part[rms <= np.minimum(max_rms, FAINT * contrast)])
    return np.concatenate(kept)


def _ordered(pairs: Pairs) -> Pairs:
    """Distinct pairs, the smaller row number first, sorted."""
    return np.unique(np.sort(pairs, axis=1), axis=0)
