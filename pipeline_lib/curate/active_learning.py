"""Active learning: which images to label next, and how many more votes an image needs.

**Which next**: images without a class that the predictors are unsure of, and unlike one another. Greedy: the next image
is the one with the largest product of uncertainty (1 - the margin between its two likeliest classes) and distance to
the nearest image that is labelled or already chosen. Uncertainty alone asks the same question many times, distance
alone asks for oddities (O. Sener, S. Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set
Approach", ICLR 2018, is the distance alone). Measured: benchmarks/curation/active_learning.py.

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
MOST_LABELLED = 4000  # labelled images that distances are measured to
LEAST_WEIGHT = 1e-3  # of a candidate the predictors are sure of
BLOCK_ROWS = 4096
POOL_WEIGHT = (
    2.0  # calibration images that the experience with all classes counts for in the table of one
)

Floats = NDArray[np.float32]
Reals = NDArray[np.float64]
Counts = NDArray[np.int64]


def rank_to_label(
    uncertainty_N: Reals, vectors_ND: Floats, labelled_MD: Floats, *, n: int
) -> NDArray[np.int64]:
    """The rows of the `n` images to label next, first one first. uncertainty_N: 0..1; vectors of one kind only."""
    likely = np.argsort(-uncertainty_N, kind="stable")[: CANDIDATES * n]
    candidates_ND = vectors_ND[likely]

    # A regular sample of the labelled ones, as distances to a million would take longer than they are worth.
    step = max(1, len(labelled_MD) // MOST_LABELLED)
    nearest_N = _nearest(candidates_ND, labelled_MD[::step])
    weights_N = np.maximum(uncertainty_N[likely], LEAST_WEIGHT).astype(np.float32)
    chosen = _choose(candidates_ND, weights_N, nearest_N, n=n)
    return np.asarray(likely[chosen], dtype=np.int64)


def _choose(candidates_ND: Floats, weights_N: Floats, nearest_N: Floats, *, n: int) -> list[int]:
    """The greedy choice; nearest_N: distance of each candidate to what is labelled."""
    chosen: list[int] = []
    available_N = np.ones(len(candidates_ND), dtype=bool)
    for _ in range(min(n, len(candidates_ND))):
        gain_N = np.where(available_N, weights_N * nearest_N, -1)
        best = int(gain_N.argmax())
        chosen.append(best)
        available_N[best] = False

        # The one just chosen counts as labelled from now on.
        to_best_N = np.sqrt(((candidates_ND - candidates_ND[best]) ** 2).sum(axis=1))
        nearest_N = np.minimum(nearest_N, to_best_N)
    return chosen


def _nearest(candidates_ND: Floats, labelled_MD: Floats) -> Floats:
    """Distance of each candidate to the nearest labelled image; to the centre of all where none is labelled."""
    if not len(labelled_MD):
        centre_D = candidates_ND.mean(axis=0)
        return np.asarray(np.linalg.norm(candidates_ND - centre_D, axis=1))
    nearest_N = np.empty(len(candidates_ND), np.float32)
    squares_M = (labelled_MD**2).sum(axis=1)
    for start in range(0, len(candidates_ND), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        block_BD = candidates_ND[block]
        # |a - b|^2 = |a|^2 - 2ab + |b|^2: one matrix product instead of B x M differences.
        closest_B = (squares_M - 2 * block_BD @ labelled_MD.T).min(axis=1)
        squared_B = closest_B + (block_BD**2).sum(axis=1)
        nearest_N[block] = np.sqrt(np.maximum(squared_B, 0))
    return nearest_N


@dataclass(frozen=True)
class StoppingRule:
    """When a class has votes enough.

    p_right: for each calibrated class the share 0..1 [Y, N] of times it was right after Y yes and N no. n_images: how
    many images with many votes named the class.
    """

    p_right: dict[str, Reals]
    n_images: pd.Series

    def confidence(self, tallies: pd.DataFrame) -> pd.Series:
        """P(right) 0..1 by the rule; NaN where the class is not calibrated.

        tallies: label, n_for and n_votes by image_id; more votes than the table holds count as its most.
        """
        found = np.full(len(tallies), np.nan)
        n_for = tallies["n_for"].to_numpy(dtype=np.int64)
        n_against = (tallies["n_votes"] - tallies["n_for"]).to_numpy(dtype=np.int64)
        for label, rows in tallies.groupby("label", sort=True).indices.items():
            if label not in self.p_right:
                continue
            table_YN = self.p_right[str(label)]
            most = table_YN.shape[0] - 1
            yes = n_for[rows].clip(0, most)
            no = n_against[rows].clip(0, most)
            found[rows] = table_YN[yes, no]
        return pd.Series(found, index=tallies.index)

    def votes_missing(self, tallies: pd.DataFrame, threshold: float) -> pd.Series:
        """How many more votes for the same class reach the threshold; NaN where the table holds no such number."""
        missing = pd.Series(np.nan, index=tallies.index)
        most = max((table.shape[0] for table in self.p_right.values()), default=0)
        for more in range(most, -1, -1):  # the smallest number that suffices is written last
            reached = tallies.assign(
                n_for=tallies["n_for"] + more, n_votes=tallies["n_votes"] + more
            )
            missing = missing.mask(self.confidence(reached) >= threshold, float(more))
        return missing

    def by_class(self, threshold: float) -> pd.DataFrame:
        """stopping.csv, how hard each class is: the share of right first votes, and how many equal votes settle it."""
        classes = list(self.p_right)
        one_vote = pd.DataFrame({"label": classes, "n_for": 1, "n_votes": 1})
        unanimous = 1 + self.votes_missing(one_vote, threshold).to_numpy()
        first_right = [round(float(table_YN[1, 0]), 6) for table_YN in self.p_right.values()]
        return pd.DataFrame(
            {
                "class_id": one_vote["label"],
                "n_pictures": self.n_images.reindex(one_vote["label"]).to_numpy(),
                "first_vote_right": first_right,
                "unanimous_votes": pd.array(unanimous, dtype="Int64"),
            }
        )


def learn_stopping(
    votes: pd.DataFrame, labels: pd.Series, *, calibration_votes: int
) -> StoppingRule:
    """Learn from all images with `calibration_votes` or more.

    votes: image_id, label. labels: consensus by image_id.
    """
    # One pair for each class that was named of an image with many votes: how many named it, and whether it was right.
    n_votes = votes.groupby("image_id")["label"].transform("size")
    of_many = votes[n_votes >= calibration_votes]
    pairs = of_many.groupby(["image_id", "label"], sort=True).size().rename("n_for").reset_index()
    pairs["n_votes"] = pairs.groupby("image_id")["n_for"].transform("sum")
    pairs["right"] = pairs["label"] == pairs["image_id"].map(labels)

    # Equal pairs once, weighed by how often they occur.
    kinds = (
        pairs.groupby(["label", "n_for", "n_votes", "right"], sort=True)
        .size()
        .rename("n")
        .reset_index()
    )
    share_CYN = _shares_of_orders(
        kinds["n_for"].to_numpy(), kinds["n_votes"].to_numpy(), most=calibration_votes
    )
    share_CYN *= kinds["n"].to_numpy()[:, None, None]

    # The experience with all classes, one right and one wrong image added to it (Laplace), helps out each class.
    right = kinds["right"].to_numpy()
    pool_YN = (share_CYN[right].sum(axis=0) + 1) / (share_CYN.sum(axis=0) + 2)
    tables: dict[str, Reals] = {}
    for label, rows in kinds.groupby("label", sort=True).indices.items():
        ours_CYN = share_CYN[rows]
        n_right_YN = ours_CYN[right[rows]].sum(axis=0) + POOL_WEIGHT * pool_YN
        n_all_YN = ours_CYN.sum(axis=0) + POOL_WEIGHT
        tables[str(label)] = n_right_YN / n_all_YN
    return StoppingRule(tables, pairs["label"].value_counts())


def _shares_of_orders(n_for: Counts, n_votes: Counts, *, most: int) -> Reals:
    """Of all orders of each pair's votes [C], the share whose first y + n votes are y for and n against: [C, Y, N]."""
    from scipy.special import gammaln

    def log_choose(n: Reals, k: Reals) -> Reals:
        with np.errstate(invalid="ignore"):  # k > n: `possible` leaves them out
            return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(np.maximum(n - k, 0) + 1))

    votes_for = n_for[:, None, None].astype(np.float64)
    votes_all = n_votes[:, None, None].astype(np.float64)
    yes = np.arange(most + 1.0)[None, :, None]
    no = np.arange(most + 1.0)[None, None, :]

    # The hypergeometric distribution, in logarithms.
    against = votes_all - votes_for
    possible = (yes <= votes_for) & (no <= against)
    logs = log_choose(votes_for, yes) + log_choose(against, no) - log_choose(votes_all, yes + no)
    return np.where(possible, np.exp(logs), 0.0)
