"""Pictures unlike all others of their class: wrong subjects, test charts, scans upside down.

Mean Euclidean distance to the ten nearest pictures of the same class, as a percentile within the class: distances of
different classes cannot be compared. A large class is represented by a random sample, so the work grows with the number
of pictures and not with its square. Nothing is left out for it; the most unlike are queued for review.

Legend: N pictures of a class, M of its sample, D features, B pictures of one block.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.splits import hash_01

NEIGHBOURS = 10
SAMPLE = 4000  # pictures that represent a class
FEWEST = 50  # of a class; a percentile among fewer means nothing
BLOCK_ROWS = 4096

Floats = NDArray[np.float32]


def outlier_scores(rows: pd.DataFrame, features: pd.DataFrame, params: CurateParams) -> pd.Series:
    """ood_score by image_id: percentile 0..1 within its class and kind of features; NaN where a class has few.

    rows: class_id by image_id. features: kind and vector by image_id.
    """
    from threadpoolctl import threadpool_limits

    joined = rows[["class_id"]].join(features[["kind", "vector"]], how="inner").dropna(subset="class_id").sort_index()
    scores = pd.Series(np.nan, index=rows.index, name="ood_score")
    with threadpool_limits(1):  # one thread: the same bits on every machine size
        for _, part in joined.groupby(["kind", "class_id"], sort=True):
            if len(part) >= FEWEST:
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
    place = np.full(len(vectors_ND), -1)
    place[chosen] = np.arange(len(chosen))
    distance = np.empty(len(vectors_ND))
    for start in range(0, len(vectors_ND), BLOCK_ROWS):
        block_BD, own = vectors_ND[start : start + BLOCK_ROWS], place[start : start + BLOCK_ROWS]
        squared_BM = squares_M - 2 * block_BD @ sample_MD.T + (block_BD**2).sum(axis=1, keepdims=True)
        squared_BM[own >= 0, own[own >= 0]] = np.inf  # nobody is his own neighbour
        nearest = np.partition(squared_BM, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        distance[start : start + BLOCK_ROWS] = np.sqrt(np.maximum(nearest, 0)).mean(axis=1)
    return distance
