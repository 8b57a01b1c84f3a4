"""Each photograph with those that a network finds most like it: pairs to look at, which no hash proposes.

Of 20 copies of each of 14 kinds (clothing, the planter of `benchmarks/support/altered_copies.py`) all have their original
as nearest neighbour but one behind viewer bars and about a third of those turned by 90 degrees, which hashes find. Up to
ALL_PAIRS photographs each is compared with every other one. More are dealt into cells around evenly chosen ones (an
inverted file: Sivic and Zisserman, "Video Google", 2003), each into the cells of its CELLS nearest: two vectors that are
close share one of them, and work grows with N^1.5.

Legend: N photographs, D features, C centres of cells.
"""

from __future__ import annotations

import logging
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.curate.duplicate_hashes import Pairs

log = logging.getLogger(__name__)
NEAREST: Final = 3
MOST_PAIRS: Final = 200_000  # the most alike are looked at: at 4 to 8 CPU ms a pair, half an hour
ALL_PAIRS: Final = 1 << 14
CELLS: Final = 3  # of each photograph
BLOCK_ROWS: Final = 2048
Floats = NDArray[np.float32]


def neighbour_pairs(
    vectors_ND: Floats, *, most: int = MOST_PAIRS, all_pairs: int = ALL_PAIRS
) -> Pairs:
    """Rows of `vectors_ND` with their NEAREST by cosine, each pair once, sorted; of more than `most` the most alike."""
    from threadpoolctl import threadpool_limits

    if len(vectors_ND) < 2:
        return np.empty((0, 2), np.int64)
    length = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    unit_ND = np.asarray(vectors_ND / np.maximum(length, 1e-12), dtype=np.float32)
    with threadpool_limits(1):  # the same sums on every machine size
        near = [_nearest(unit_ND, cell) for cell in _cells(unit_ND, all_pairs)]
    pairs = np.concatenate([pairs for pairs, _ in near])
    cosine = np.concatenate([cosine for _, cosine in near])
    _, first = np.unique(pairs[:, 0] * len(vectors_ND) + pairs[:, 1], return_index=True)
    if len(first) > most:
        log.warning(
            "copies: of %d pairs of neighbours only the %d most alike are looked at",
            len(first),
            most,
        )
    likeliest = np.argsort(-cosine[first], kind="stable")[:most]
    return np.asarray(pairs[first[np.sort(likeliest)]])


def _cells(unit_ND: Floats, all_pairs: int) -> list[NDArray[np.int64]]:
    """Groups of rows within which rows are compared."""
    n = len(unit_ND)
    if n <= all_pairs:
        return [np.arange(n)]
    centres_CD = unit_ND[np.linspace(0, n - 1, math.isqrt(n)).astype(np.int64)]
    homes = []
    for start in range(0, n, BLOCK_ROWS):
        cosine = unit_ND[start : start + BLOCK_ROWS] @ centres_CD.T
        homes.append(np.argpartition(-cosine, CELLS - 1, axis=1)[:, :CELLS])
    home = np.concatenate(homes).ravel()
    rows = np.repeat(np.arange(n), CELLS)
    order = np.argsort(home, kind="stable")
    return np.split(rows[order], np.flatnonzero(np.diff(home[order])) + 1)


def _nearest(unit_ND: Floats, cell: NDArray[np.int64]) -> tuple[Pairs, Floats]:
    """The pairs of each row of a cell and its nearest in there, the smaller row first, and their cosines."""
    inside_ND = unit_ND[cell]
    n_near = min(NEAREST, len(cell) - 1)
    pairs, cosines = [np.empty((0, 2), np.int64)], [np.empty(0, np.float32)]
    for start in range(0, len(cell) if n_near else 0, BLOCK_ROWS):
        cosine = inside_ND[start : start + BLOCK_ROWS] @ inside_ND.T
        rows = np.arange(len(cosine))
        cosine[rows, start + rows] = -2.0
        near = np.argpartition(-cosine, n_near - 1, axis=1)[:, :n_near]
        first = np.repeat(cell[start + rows], n_near)
        pairs.append(np.sort(np.stack([first, cell[near.ravel()]], axis=1), axis=1))
        cosines.append(cosine[np.repeat(rows, n_near), near.ravel()])
    return np.concatenate(pairs), np.concatenate(cosines)
