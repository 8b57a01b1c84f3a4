"""Pairs of small images that show the same, though their light, colour, place or scale differs.

Neighbours in the feature space propose, the second look decides. How much two different images agree depends on
what is shown: photographs little, handwritten digits of one class very much. So a set is its own yardstick: where its
images agree as much as copies do with a neighbour that is surely another one, their eighth, details tell nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline_lib.curate.hash_pairs import Pairs
from pipeline_lib.curate.second_look import agreement

NEAREST, COSINE = 5, 0.7  # looked at: this many neighbours, when their vectors are this close
OTHER = 8  # the neighbour that is taken for another image
SAMPLE = 256  # images that measure how much different ones agree; smaller sets are left to their pixels
CHANCE_PERCENT = 99
TELLING = 0.8  # where different images agree more than this, no agreement makes a copy
BLOCK_ROWS = 2048


@dataclass(frozen=True)
class AlikeDetails:
    """pairs [n, 2]: positions, first < second. score: their agreement [n]. chance: what different images reach."""

    pairs: Pairs
    score: NDArray[np.floating]
    chance: float


def alike_details(vectors_ND: NDArray[np.float32], thumbnails_NP: NDArray[np.uint8], *, least: float) -> AlikeDetails:
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
    return float(np.percentile(agreement(thumbnails_NP, np.stack([sample, other], axis=1)), CHANCE_PERCENT))


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
