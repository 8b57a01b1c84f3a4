"""When a picture has votes enough: learnt for each class from the pictures that have many.

ImageNet's dynamic consensus (J. Deng et al., "ImageNet: A Large-Scale Hierarchical Image Database", CVPR 2009, section
3.2): some pictures of each class are voted on by ten people or more; they tell how often a class is right when so many
said yes and so many said no. Every other picture is voted on until that share passes a threshold, so a cat needs fewer
votes than a Burmese cat. Two things differ: votes name a class instead of answering yes or no, so all votes for another
class are the no; and instead of one random order of the votes, every order counts (the hypergeometric share of those
with so many yes and no), which needs no time stamps and no random numbers.

Legend: C kinds of calibration pairs (a picture with many votes, a class somebody named), Y and N votes for and against.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

POOL_WEIGHT = 2.0  # calibration pictures that the experience with all classes counts for in the table of one

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StoppingRule:
    """p_right: for each calibrated class the share 0..1 [Y, N] of times it was right after so many yes and no."""

    p_right: dict[str, Floats]
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
    tables: dict[str, Floats] = {}
    for label, rows in kinds.groupby("label", sort=True).indices.items():
        ours = share_CYN[rows]
        tables[str(label)] = (ours[right[rows]].sum(axis=0) + POOL_WEIGHT * pool) / (ours.sum(axis=0) + POOL_WEIGHT)
    return StoppingRule(tables, pairs["label"].value_counts())


def _shares_of_orders(n_for: NDArray[np.int64], n_votes: NDArray[np.int64], *, most: int) -> Floats:
    """Of all orders of each pair's votes [C], the share whose first y + n votes are y for and n against: [C, Y, N]."""
    from scipy.special import gammaln

    def log_choose(n: Floats, k: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(np.maximum(n - k, 0) + 1))

    votes_for, votes_all = (counts[:, None, None].astype(np.float64) for counts in (n_for, n_votes))
    yes, no = np.arange(most + 1.0)[None, :, None], np.arange(most + 1.0)[None, None, :]
    possible = (yes <= votes_for) & (no <= votes_all - votes_for)
    logs = log_choose(votes_for, yes) + log_choose(votes_all - votes_for, no) - log_choose(votes_all, yes + no)
    return np.where(possible, np.exp(logs), 0.0)
