"""Which pictures without a class to label next: the ones the predictors are unsure of, and unlike one another.

Greedy: the next picture is the one with the largest product of uncertainty (1 - the margin between its two likeliest
classes) and distance to the nearest picture that is labelled or already chosen. Uncertainty alone asks the same
question many times, distance alone asks for oddities (O. Sener, S. Savarese, "Active Learning for Convolutional Neural
Networks: A Core-Set Approach", ICLR 2018, is the distance alone). Measured: benchmarks/curation/active_learning.py.

Legend: N candidates, M labelled pictures, D features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CANDIDATES = 20  # looked at for each one chosen: the most uncertain ones
MOST_LABELLED = 4000  # labelled pictures that distances are measured to
LEAST_WEIGHT = 1e-3  # of a candidate the predictors are sure of

Floats = NDArray[np.float32]
Reals = NDArray[np.float64]


def rank_to_label(uncertainty_N: Reals, vectors_ND: Floats, labelled_MD: Floats, *, n: int) -> NDArray[np.int64]:
    """The rows of the `n` pictures to label next, first one first. uncertainty_N: 0..1; vectors of one kind only."""
    likely = np.argsort(-uncertainty_N, kind="stable")[: CANDIDATES * n]
    step = max(1, len(labelled_MD) // MOST_LABELLED)
    nearest_N = _nearest(vectors_ND[likely], labelled_MD[::step])
    weights_N = np.maximum(uncertainty_N[likely], LEAST_WEIGHT).astype(np.float32)
    return np.asarray(likely[_choose(vectors_ND[likely], weights_N, nearest_N, n=n)], dtype=np.int64)


def _choose(candidates_ND: Floats, weights_N: Floats, nearest_N: Floats, *, n: int) -> list[int]:
    """The greedy choice; nearest_N: distance of each candidate to what is labelled."""
    chosen: list[int] = []
    open_N = np.ones(len(candidates_ND), dtype=bool)
    for _ in range(min(n, len(candidates_ND))):
        best = int(np.where(open_N, weights_N * nearest_N, -1).argmax())
        chosen.append(best)
        open_N[best] = False
        to_best_N = np.sqrt(((candidates_ND - candidates_ND[best]) ** 2).sum(axis=1))
        nearest_N = np.minimum(nearest_N, to_best_N)
    return chosen


def _nearest(candidates_ND: Floats, labelled_MD: Floats) -> Floats:
    """Distance of each candidate to the nearest labelled picture; to the centre of all where none is labelled."""
    if not len(labelled_MD):
        return np.asarray(np.linalg.norm(candidates_ND - candidates_ND.mean(axis=0), axis=1))
    nearest = np.empty(len(candidates_ND), np.float32)
    squares_M = (labelled_MD**2).sum(axis=1)
    for start in range(0, len(candidates_ND), 4096):
        block_BD = candidates_ND[start : start + 4096]
        squared = (squares_M - 2 * block_BD @ labelled_MD.T).min(axis=1) + (block_BD**2).sum(axis=1)
        nearest[start : start + 4096] = np.sqrt(np.maximum(squared, 0))
    return nearest
