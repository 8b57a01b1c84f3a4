"""Active learning: which images to label next, and how many more votes an image needs.

**Which next**: images without a class that the predictors are unsure of, and unlike one another. Greedy: the next image
is the one with the largest product of uncertainty (1 - the margin between its two likeliest classes) and distance to
the nearest image that is labelled or already chosen. Uncertainty alone asks the same question many times, distance
alone asks for oddities (O. Sener, S. Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set
Approach", ICLR 2018, is the distance alone). Measured: benchmarks/active_learning.py.

**How many votes**: ImageNet's dynamic consensus (J. Deng et al., "ImageNet: A Large-Scale Hierarchical Image Database",
CVPR 2009, section 3.2). Some images of each class are voted on by ten people or more; they tell how often a class is
right after a number of yes and no votes. Every other image is voted on until that share passes a threshold, so a cat
needs fewer votes than a Burmese cat. Two things differ. Votes name a class instead of answering yes or no, so all votes
for another class are the no. Instead of one random order of the votes, every order counts (the hypergeometric share of
those with the same numbers of yes and no), which needs no time stamps and no random numbers.

Legend: N candidates, M labelled images, D features; C kinds of calibration pairs (an image with many votes, a class
somebody named), Y and N votes for and against.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CANDIDATES = 20  # looked at for each one chosen: the most uncertain ones
MOST_LABELLED = 4000  # labelled pictures that distances are measured to
LEAST_WEIGHT = 1e-3  # of a candidate the predictors are sure of
POOL_WEIGHT = 2.0  # calibration pictures that the experience with all classes counts for in the table of one

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


@dataclass(frozen=True)
class StoppingRule:
    """p_right: for each calibrated class the share 0..1 [Y, N] of times it was right after so many yes and no."""

    p_right: dict[str, Reals]
    n_pictures: pd.Series

    def confidence(self, tallies: pd.DataFrame) -> pd.Series:
        """P(right) 0..1 by the rule; NaN where the class is not calibrated.

        tallies: label, n_for and n_votes by image_id; more votes than the table holds count as its most.
        """
        found = np.full(len(tallies), np.nan)
        against = (tallies["n_votes"] - tallies["n_for"]).to_numpy(dtype=np.int64)
        for label, rows in tallies.groupby("label", sort=True).indices.items():
            if label in self.p_right:
                table_YN = self.p_right[str(label)]
                most = table_YN.shape[0] - 1
                n_for = tallies["n_for"].to_numpy(dtype=np.int64)[rows]
                found[rows] = table_YN[n_for.clip(0, most), against[rows].clip(0, most)]
        return pd.Series(found, index=tallies.index)

    def votes_missing(self, tallies: pd.DataFrame, threshold: float) -> pd.Series:
        """How many more votes for the same class reach the threshold; NaN where the table holds no such number."""
        missing = pd.Series(np.nan, index=tallies.index)
        most = max((table.shape[0] for table in self.p_right.values()), default=0)
        for more in range(most, -1, -1):
            reached = tallies.assign(n_for=tallies["n_for"] + more, n_votes=tallies["n_votes"] + more)
            missing = missing.mask(self.confidence(reached) >= threshold, float(more))
        return missing

    def by_class(self, threshold: float) -> pd.DataFrame:
        """How hard each class is: the share of right first votes, and how many unanimous votes settle it."""
        one = pd.DataFrame({"label": list(self.p_right), "n_for": 1, "n_votes": 1})
        unanimous = 1 + self.votes_missing(one, threshold).to_numpy()
        columns = {
            "class_id": one["label"],
            "n_pictures": self.n_pictures.reindex(one["label"]).to_numpy(),
            "first_vote_right": [round(float(table[1, 0]), 6) for table in self.p_right.values()],
            "unanimous_votes": pd.array(unanimous, dtype="Int64"),
        }
        return pd.DataFrame(columns)


def learn_stopping(votes: pd.DataFrame, labels: pd.Series, *, calibration_votes: int) -> StoppingRule:
    """Learn from all pictures with `calibration_votes` or more.

    votes: image_id, label. labels: consensus by image_id.
    """
    n_votes = votes.groupby("image_id")["label"].transform("size")
    of_many = votes[n_votes >= calibration_votes]
    pairs = of_many.groupby(["image_id", "label"], sort=True).size().rename("n_for").reset_index()
    pairs["n_votes"] = pairs.groupby("image_id")["n_for"].transform("sum")
    pairs["right"] = pairs["label"] == pairs["image_id"].map(labels)
    kinds = pairs.groupby(["label", "n_for", "n_votes", "right"], sort=True).size().rename("n").reset_index()
    share_CYN = _shares_of_orders(kinds["n_for"].to_numpy(), kinds["n_votes"].to_numpy(), most=calibration_votes)
    share_CYN *= kinds["n"].to_numpy()[:, None, None]
    right = kinds["right"].to_numpy()
    pool = (share_CYN[right].sum(axis=0) + 1) / (share_CYN.sum(axis=0) + 2)
    tables: dict[str, Reals] = {}
    for label, rows in kinds.groupby("label", sort=True).indices.items():
        ours = share_CYN[rows]
        tables[str(label)] = (ours[right[rows]].sum(axis=0) + POOL_WEIGHT * pool) / (ours.sum(axis=0) + POOL_WEIGHT)
    return StoppingRule(tables, pairs["label"].value_counts())


def _shares_of_orders(n_for: NDArray[np.int64], n_votes: NDArray[np.int64], *, most: int) -> Reals:
    """Of all orders of each pair's votes [C], the share whose first y + n votes are y for and n against: [C, Y, N]."""
    from scipy.special import gammaln

    def log_choose(n: Reals, k: Reals) -> Reals:
        with np.errstate(invalid="ignore"):
            return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(np.maximum(n - k, 0) + 1))

    votes_for, votes_all = (counts[:, None, None].astype(np.float64) for counts in (n_for, n_votes))
    yes, no = np.arange(most + 1.0)[None, :, None], np.arange(most + 1.0)[None, None, :]
    possible = (yes <= votes_for) & (no <= votes_all - votes_for)
    logs = log_choose(votes_for, yes) + log_choose(votes_all - votes_for, no) - log_choose(votes_all, yes + no)
    return np.where(possible, np.exp(logs), 0.0)
