"""Images unlike all others of their class: wrong subjects, test charts, scans upside down.

Distance: Euclidean, to the k-th nearest image of the same class. Of embeddings (unit vectors, see inputs.py) k is a third
of the class: in such a space a class is a cloud or a few, and strangers who are fewer cannot vouch for each other,
however alike they are. Of gradients (HOG) k is 10: there a class is a chain of neighbours and no cloud.

Score: an absolute one, so that sound data have few questions and spoilt data as many as they need; a percentile would
ask about the same share of both. It is the logarithm of the distance in spreads above the median; a spread is what lies
between the median and the 16th percentile, where no stranger is. From the logarithm a part of its class's median is
taken: classes differ in width, but strangers widen the class that they are in. So the part grows from 0 to 1 as classes
differ by more than two spreads (the weight of a group's mean in empirical Bayes). Nothing is left out for it.

A large class is represented by a random sample, so the work grows with the number of images and not with its square.

Legend: N images of a class, M of its sample, D features, B images of one block.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline_lib.curate.inputs import is_embedding
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.splits import hash_01

NEIGHBOURS = 10  # among gradients
SAMPLE = 4000  # images that represent a class
FEWEST = 50  # images of a kind, and of a class of gradients; the spread of fewer, or their neighbours, mean nothing
FEWEST_OF_EMBEDDED_CLASS = 5
BLOCK_ROWS = 4096

Floats = NDArray[np.float32]


def outlier_scores(rows: pd.DataFrame, features: pd.DataFrame, params: CurateParams) -> pd.Series:
    """ood_score by image_id: how much farther from its class than usual, in spreads; NaN where images are few.

    rows: class_id by image_id. features: kind and vector by image_id. Scores of one kind of features are comparable,
    also of different classes.
    """
    from threadpoolctl import threadpool_limits

    joined = rows[["class_id"]].join(features[["kind", "vector"]], how="inner")
    joined = joined.dropna(subset="class_id").sort_index()
    scores = pd.Series(np.nan, index=rows.index, name="ood_score")
    with threadpool_limits(1):  # one thread: the same bits on every machine size
        for kind, part in joined.groupby("kind", sort=True):
            distance = pd.concat(
                [_of_class(one, str(kind), params) for _, one in part.groupby("class_id")]
            )
            if distance.count() >= FEWEST:
                scores[distance.index] = _in_spreads(distance, part["class_id"])
    return scores


def _of_class(part: pd.DataFrame, kind: str, params: CurateParams) -> pd.Series:
    """Distance of each image of a class to the k-th nearest, by image_id; NaN for a class too small to tell."""
    embedded = is_embedding(kind)
    if len(part) < (FEWEST_OF_EMBEDDED_CLASS if embedded else FEWEST):
        return pd.Series(np.nan, index=part.index)
    vectors_ND = np.stack(part["vector"].to_list()).astype(np.float32)
    draw = hash_01(part.index, params.split_salt)
    n_compared = min(len(part), SAMPLE) - 1
    k = math.ceil(n_compared / 3) if embedded else NEIGHBOURS
    return pd.Series(_neighbour_distance(vectors_ND, draw, k=k), index=part.index)


def _in_spreads(distance: pd.Series, class_id: pd.Series) -> pd.Series:
    """Distances on one scale. Where equal images make a distance 0, it counts as the smallest that is not."""
    logarithm: pd.Series = np.log(distance.mask(distance == 0))
    logarithm = logarithm.fillna(logarithm.min()).where(distance.notna())
    by_class = logarithm.groupby(class_id.reindex(distance.index))
    of_class = by_class.transform("median")
    between = float(by_class.median().var(ddof=0))
    within = _spread(logarithm - of_class)
    if within == 0:
        return pd.Series(np.nan, index=distance.index)
    compared: pd.Series = logarithm - of_class * between / (between + (2 * within) ** 2)
    return (compared - compared.median()) / _spread(compared)


def _spread(values: pd.Series) -> float:
    """From the 16th percentile to the median: the standard deviation of a normal distribution."""
    return float(values.median() - values.quantile(0.16))


def _neighbour_distance(
    vectors_ND: Floats, draw: NDArray[np.float64], *, k: int
) -> NDArray[np.float64]:
    """Distance of each row to the k-th nearest other row of the sample."""
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
        nearest = np.partition(squared_BM, k - 1, axis=1)[:, k - 1]
        distance[block] = np.sqrt(np.maximum(nearest, 0))
    return distance
