"""Copies among small images: by their pixels, and by their details when light, colour, place or scale differ.

**Pixels.** Under 64 px a perceptual hash is no use (381 of 1,797 genuine digits pair up at distance 6). The RMS
difference of 32x32 grey thumbnails tells: between different digits it is at least 8.2 levels, between a digit and its
copy (JPEG q80 to q95, brightness +-2) at most 3.5.

**Details.** Neighbours in the feature space propose, a second look decides: thumbnails are laid over each other without
their coarse brightness (a blur of 2 px taken away), shifted by some pixels, somewhat larger or smaller, and turned
where that is asked. What is compared is normalised correlation (Lewis, "Fast normalized cross-correlation", 1995): 1
is the same detail, 0 none in common. How much two different images agree depends on what is shown: photographs little,
handwritten digits of one class very much. So a set is its own yardstick: where its images agree as much as copies do
with a neighbour that is surely another one, their eighth, details tell nothing.

Legend: N images, P pixels of a thumbnail (1,024), C cells of a coarse thumbnail (64), D features, H, W a side of 32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline_lib.curate.duplicate_hashes import Pairs

SIDE_PX: Final = 32  # of a thumbnail
COARSE_SIDE: Final = 8
BLOCK_ROWS = 2048  # 2048 x 2048 float32 distances: 16 MB at a time

# By pixels.
ROUNDING: Final = (
    0.5  # squared grey levels: float32 error of a coarse distance, with room; candidates are exact
)
FAINT: Final = (
    0.2  # near means within a fifth of the image's own contrast too, or blank pages would all pair
)

# By details: which pairs are looked at, and whether details tell anything in this set.
NEAREST: Final = 5  # neighbours of each image that are looked at
COSINE: Final = 0.7  # when their vectors are this close
OTHER: Final = 8  # the neighbour that is taken for another image
SAMPLE: Final = (
    256  # images that measure how much different ones agree; smaller sets are left to their pixels
)
CHANCE_PERCENT: Final = 99
TELLING: Final = 0.8  # where different images agree more than this, no agreement makes a copy

# The second look.
TEMPLATE_PX: Final = 24  # so the images may be shifted by 4 px to each side
PARTS_PX: Final = (
    18,
    20,
    22,
    24,
    26,
)  # the part of one image that is laid over the other, brought to TEMPLATE_PX
COARSE_SIGMA_PX: Final = 2.0
cv2.setNumThreads(1)  # the same sums on every machine


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
        reach = int(
            np.searchsorted(sorted_means, sorted_means[stop - 1] + max_rms + ROUNDING, side="right")
        )
        for other in range(start, reach, BLOCK_ROWS):
            pairs = _coarse_pairs(
                coarse_NC, (start, stop), (other, min(other + BLOCK_ROWS, reach)), max_rms
            )
            found.append(_alike(thumbnails_NP, order[pairs], max_rms))
    return _ordered(np.concatenate(found))


def _block_means(thumbnails_NP: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means of the 4x4 blocks of each thumbnail, float32 [N, C]."""
    block = SIDE_PX // COARSE_SIDE
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
        a, b = (
            thumbnails_NP[part[:, 0]].astype(np.int32),
            thumbnails_NP[part[:, 1]].astype(np.int32),
        )
        rms = np.sqrt(((a - b) ** 2).mean(axis=1))
        contrast = np.minimum(a.std(axis=1), b.std(axis=1))
        kept.append(part[rms <= np.minimum(max_rms, FAINT * contrast)])
    return np.concatenate(kept)


def _ordered(pairs: Pairs) -> Pairs:
    """Distinct pairs, the smaller row number first, sorted."""
    return np.unique(np.sort(pairs, axis=1), axis=0)


@dataclass(frozen=True)
class AlikeDetails:
    """pairs [n, 2]: positions, first < second. score: their agreement [n]. chance: what different images reach."""

    pairs: Pairs
    score: NDArray[np.floating]
    chance: float


def alike_details(
    vectors_ND: NDArray[np.float32], thumbnails_NP: NDArray[np.uint8], *, least: float
) -> AlikeDetails:
    """Pairs that agree by at least `least`; none where different images of the set agree as much."""
    from threadpoolctl import threadpool_limits

    nothing = AlikeDetails(np.empty((0, 2), np.int64), np.empty(0), np.nan)
    if len(vectors_ND) < SAMPLE:
        return nothing
    vectors_ND = vectors_ND / np.maximum(np.linalg.norm(vectors_ND, axis=1, keepdims=True), 1e-12)
    with threadpool_limits(1):  # the same bits on every machine size
        chance = _chance(vectors_ND, thumbnails_NP)
        if chance > TELLING:
            return AlikeDetails(nothing.pairs, nothing.score, chance)
        pairs = _neighbours(vectors_ND)
    score = agreement(thumbnails_NP, pairs)
    alike = score >= max(least, chance)
    return AlikeDetails(pairs[alike], score[alike], chance)


def stacked(features: pd.DataFrame) -> NDArray[np.float32]:
    """The vectors of a feature table, which must be of one kind, as [N, D]."""
    return np.stack(features["vector"].to_list()).astype(np.float32)


def _chance(vectors_ND: NDArray[np.float32], thumbnails_NP: NDArray[np.uint8]) -> float:
    """What nearly all of a sample do not reach with their eighth neighbour."""
    sample = np.linspace(0, len(vectors_ND) - 1, SAMPLE).astype(np.int64)
    cosine = vectors_ND[sample] @ vectors_ND.T
    cosine[np.arange(SAMPLE), sample] = -2
    other = np.argsort(-cosine, axis=1, kind="stable")[:, OTHER - 1]
    return float(
        np.percentile(agreement(thumbnails_NP, np.stack([sample, other], axis=1)), CHANCE_PERCENT)
    )


def _neighbours(vectors_ND: NDArray[np.float32]) -> Pairs:
    """Each image with its nearest others, among those close enough; every pair once, sorted."""
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(vectors_ND), BLOCK_ROWS):
        cosine = vectors_ND[start : start + BLOCK_ROWS] @ vectors_ND.T
        line, other = np.nonzero(cosine >= COSINE)
        keep = other != start + line
        line, other = line[keep], other[keep]
        order = np.lexsort((other, -cosine[line, other], line))
        line, other = line[order], other[order]
        rank = np.arange(len(line)) - np.searchsorted(line, line)
        nearest = rank < NEAREST
        found.append(np.stack([start + line[nearest], other[nearest]], axis=1))
    return np.asarray(np.unique(np.sort(np.concatenate(found), axis=1), axis=0))


def agreement(
    thumbnails_NP: NDArray[np.uint8], pairs: NDArray[np.int64], *, turned: bool = False
) -> NDArray[np.float32]:
    """Agreement of each pair, -1..1. turned: the second image is first brought to its likeliest orientation."""
    found = np.full(len(pairs), -1.0, np.float32)
    for at, (first, second) in enumerate(pairs):
        a, b = (
            thumbnails_NP[one].reshape(SIDE_PX, SIDE_PX).astype(np.float32)
            for one in (first, second)
        )
        found[at] = _best_match(_detail(a), _detail(_turned_like(a, b) if turned else b))
    return found


def _detail(grey_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(
        grey_HW - cv2.GaussianBlur(grey_HW, (0, 0), COARSE_SIGMA_PX), dtype=np.float32
    )


def _turned_like(a_HW: NDArray[np.float32], b_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    """b in the orientation whose coarse brightness is most like that of a."""
    forms = [form for upright in (b_HW, b_HW.T) for form in (upright, upright[:, ::-1])]
    forms += [form[::-1] for form in forms]
    coarse = [_coarse(form) for form in (a_HW, *forms)]
    return forms[int(np.argmax([(coarse[0] * form).sum() for form in coarse[1:]]))]


def _coarse(grey_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    block = SIDE_PX // COARSE_SIDE
    cells = grey_HW.reshape(COARSE_SIDE, block, COARSE_SIDE, block).mean(axis=(1, 3))
    return np.asarray(cells - cells.mean(), dtype=np.float32)


def _best_match(a_HW: NDArray[np.float32], b_HW: NDArray[np.float32]) -> float:
    best = -1.0
    a_HW, b_HW = np.ascontiguousarray(a_HW), np.ascontiguousarray(b_HW)
    for here, there in ((a_HW, b_HW), (b_HW, a_HW)):
        for part_px in PARTS_PX:
            found = cv2.matchTemplate(there, _template(here, part_px), cv2.TM_CCOEFF_NORMED)
            best = max(best, float(found.max()))
    return best


def _template(detail_HW: NDArray[np.float32], part_px: int) -> NDArray[np.float32]:
    margin = (SIDE_PX - part_px) // 2
    part = np.ascontiguousarray(detail_HW[margin : SIDE_PX - margin, margin : SIDE_PX - margin])
    if part_px == TEMPLATE_PX:
        return part
    return np.asarray(
        cv2.resize(part, (TEMPLATE_PX,) * 2, interpolation=cv2.INTER_LINEAR), dtype=np.float32
    )
