"""Images unlike all others of their class: wrong subjects, test charts, scans upside down.

Mean Euclidean distance to the ten nearest images of the same class, as a percentile within the class: distances of
different classes cannot be compared. A large class is represented by a random sample, so the work grows with the number
of images and not with its square. Nothing is left out for it; the most unlike are queued for review.

Legend: N images of a class, M of its sample, D features, B images of one block.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.splits import hash_01

NEIGHBOURS = 10
SAMPLE = 4000  # images that represent a class
FEWEST = 50  # of a class; a percentile among fewer means nothing
BLOCK_ROWS = 4096

Floats = NDArray[np.float32]


def outlier_scores(rows: pd.DataFrame, features: pd.DataFrame, params: CurateParams) -> pd.Series:
    """ood_score by image_id: percentile 0..1 within its class and kind of features; NaN where a class has few.

    rows: class_id by image_id. features: kind and vector by image_id.
    """
    from threadpoolctl import threadpool_limits

    joined = rows[["class_id"]].join(features[["kind", "vector"]], how="inner")
    joined = joined.dropna(subset="class_id").sort_index()
    scores = pd.Series(np.nan, index=rows.index, name="ood_score")
    with threadpool_limits(1):  # one thread: the same bits on every machine size
        for _, part in joined.groupby(["kind", "class_id"], sort=True):
            if len(part) < FEWEST:
                continue
            vectors_ND = np.stack(part["vector"].to_list()).astype(np.float32)
            draw = hash_01(part.index, params.split_salt)
            distance = pd.Series(_neighbour_distance(vectors_ND, draw), index=part.index)
            scores[part.index] = distance.rank(method="average", pct=True)
    return scores


def _neighbour_distance(vectors_ND: Floats, draw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean distance of each row to its nearest others in the sample."""
    chosen = np.sort(np.argsort(draw, kind="stable")[:SAMPLE])
    sample_MD = vectors_ND[chosen]
    squares_M = (sample_MD.astype(np.float64) ** 2).sum(axis=1).astype(np.float32)

    # The column of each row in the sample, -1 for rows that are not in it.
    column = np.full(len(vectors_ND), -1)
    column[chosen] = np.arange(len(chosen))

    distance = np.empty(len(vectors_ND))
    for start in range(0, len(vectors_ND), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        block_BD = vectors_ND[block]
        # |a - b|^2 = |a|^2 - 2ab + |b|^2: one matrix product instead of B x M differences.
        squared_BM = (
            squares_M - 2 * block_BD @ sample_MD.T + (block_BD**2).sum(axis=1, keepdims=True)
        )

        # An image is no neighbour of its own.
        own = column[block]
        in_sample = own >= 0
        squared_BM[in_sample, own[in_sample]] = np.inf
        nearest = np.partition(squared_BM, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        distance[block] = np.sqrt(np.maximum(nearest, 0)).mean(axis=1)
    return distance
