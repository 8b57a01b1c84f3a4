"""What several people said, as one label with a probability.

Method: one-coin Dawid-Skene. Each annotator is right with one unknown probability and errs evenly over the other
classes; labels and qualities are estimated together by expectation-maximisation (A. P. Dawid, A. M. Skene, "Maximum
Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", Applied Statistics 28(1), 1979; one-coin:
Zhang, Chen, Zhou, Jordan, "Spectral Methods Meet EM", JMLR 17, 2016). Work and memory grow with the votes, not with
pictures x classes.

Legend: V votes, P distinct (picture, class) pairs that were voted, N pictures, A annotators, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MAX_ROUNDS = 200
SETTLED = 1e-7  # largest change of an annotator's quality in the last round
FIRST_GUESS = 0.8  # above 1/K, so that the majority starts on the right side

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Consensus:
    """labels: index image_id; `label` the most probable class, `posterior` 0..1. qualities: annotator -> P(right).

    soft: image_id, class_id, probability of every class that somebody named; the classes nobody named share the rest.
    """

    labels: pd.DataFrame
    qualities: pd.Series
    soft: pd.DataFrame


def aggregate(votes: pd.DataFrame, n_classes: int, experts: frozenset[str] = frozenset()) -> Consensus:
    """Aggregate votes (columns image_id, annotator, label). Ties go to the label that sorts first.

    experts: annotators whose word is taken as the truth where they do not contradict each other; the others' qualities
    are then estimated on known answers too.
    """
    picture, pictures = pd.factorize(votes["image_id"], sort=True)
    annotator, annotators = pd.factorize(votes["annotator"], sort=True)
    label, labels = pd.factorize(votes["label"], sort=True)
    n_classes = max(n_classes, len(labels), 2)
    pair_of_vote, pair_picture, pair_label = _pairs(picture, label, len(labels))
    truth = _known(pair_of_vote, pair_picture, of_expert=np.isin(annotators, list(experts))[annotator])
    quality: Floats = np.full(len(annotators), FIRST_GUESS)
    n_by_annotator = np.bincount(annotator, minlength=len(annotators))
    posterior: Floats = np.zeros(len(pair_picture))
    for _ in range(MAX_ROUNDS):
        evidence = _log_odds(quality, n_classes)[annotator]
        posterior = _posterior(pair_of_vote, pair_picture, evidence, n_classes=n_classes, n_pictures=len(pictures))
        posterior = np.where(np.isnan(truth), posterior, truth)
        right = np.bincount(annotator, posterior[pair_of_vote], len(annotators))
        last, quality = quality, (right + 1) / (n_by_annotator + 2)  # Laplace's rule: nobody is certain
        if len(quality) == 0 or np.abs(quality - last).max() < SETTLED:
            break
    best = _best_pair(pair_picture, posterior, len(pictures))
    names = np.asarray(labels)[pair_label]
    columns = {"label": names[best], "posterior": posterior[best]}
    return Consensus(
        pd.DataFrame(columns, index=pd.Index(pictures, name="image_id")),
        pd.Series(quality, index=annotators, dtype=float),
        pd.DataFrame(
            {"image_id": np.asarray(pictures)[pair_picture], "class_id": names, "probability": posterior}
        ).astype({"image_id": "str", "class_id": "str"}),
    )


def known_answers(votes: pd.DataFrame, experts: frozenset[str]) -> pd.Series:
    """The class by image_id where experts voted and all said the same: control pictures for everybody else."""
    said = votes[votes["annotator"].isin(experts)].drop_duplicates(["image_id", "label"])
    return said[~said.duplicated("image_id", keep=False)].set_index("image_id")["label"]


def majority(votes: pd.DataFrame) -> pd.Series:
    """The label most people chose, by image_id; ties go to the label that sorts first."""
    counts = votes.groupby(["image_id", "label"], sort=True).size().rename("n").reset_index()
    return (
        counts.sort_values(["image_id", "n", "label"], ascending=[True, False, True])
        .groupby("image_id")["label"]
        .first()
    )


def agreement(votes: pd.DataFrame) -> pd.Series:
    """Per annotator, the share 0..1 of the other people's votes on the same pictures that chose the same label."""
    on_picture = votes.groupby("image_id")["label"].transform("size") - 1
    same = votes.groupby(["image_id", "label"])["label"].transform("size") - 1
    totals = (
        pd.DataFrame({"annotator": votes["annotator"], "same": same, "others": on_picture}).groupby("annotator").sum()
    )
    return totals["same"] / totals["others"].where(totals["others"] > 0)


def krippendorff_alpha(votes: pd.DataFrame) -> float:
    """Krippendorff's alpha for nominal data: 1 agreement, 0 chance; NaN when nothing can be compared.

    Source: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011, section C.
    """
    on_picture = votes.groupby("image_id")["label"].transform("size")
    paired = votes[on_picture > 1]
    per_value = paired.groupby("label").size().to_numpy(dtype=float)
    n = per_value.sum()
    expected = n**2 - (per_value**2).sum()
    if expected == 0:
        return float("nan")
    cells = paired.groupby(["image_id", "label"]).size().rename("n").reset_index()
    units = cells.assign(squared=cells["n"] ** 2).groupby("image_id")[["n", "squared"]].sum()
    observed = ((units["n"] ** 2 - units["squared"]) / (units["n"] - 1)).sum()
    return float(1 - (n - 1) * observed / expected)


def _pairs(picture: Integers, label: Integers, n_labels: int) -> tuple[Integers, Integers, Integers]:
    """Number the distinct (picture, label) pairs: pair of each vote [V], picture [P] and label [P] of each pair."""
    distinct, pair_of_vote = np.unique(picture.astype(np.int64) * max(n_labels, 1) + label, return_inverse=True)
    return pair_of_vote, distinct // max(n_labels, 1), distinct % max(n_labels, 1)


def _known(pair_of_vote: Integers, pair_picture: Integers, *, of_expert: NDArray[np.bool_]) -> Floats:
    """1 or 0 for the pairs [P] of pictures whose experts all named one class, NaN for all other pictures."""
    named = np.unique(pair_of_vote[of_expert])
    n_named = np.bincount(pair_picture[named], minlength=int(pair_picture.max(initial=0)) + 1)
    truth = np.where(n_named[pair_picture] == 1, 0.0, np.nan)
    truth[named] = np.where(np.isnan(truth[named]), np.nan, 1.0)
    return truth


def _log_odds(quality: Floats, n_classes: int) -> Floats:
    """What one vote of each annotator [A] adds to the log-probability of the class it names, against every other."""
    return np.log(quality) - np.log((1 - quality) / (n_classes - 1))


def _posterior(
    pair_of_vote: Integers, pair_picture: Integers, evidence: Floats, *, n_classes: int, n_pictures: int
) -> Floats:
    """P(class) of every voted pair [P], the classes nobody voted for counted too; prior uniform."""
    score = np.bincount(pair_of_vote, evidence, len(pair_picture))
    highest = np.zeros(n_pictures)  # a class without votes scores 0
    np.maximum.at(highest, pair_picture, score)
    likelihood = np.exp(score - highest[pair_picture])
    unseen = n_classes - np.bincount(pair_picture, minlength=n_pictures)
    total = np.bincount(pair_picture, likelihood, n_pictures) + unseen * np.exp(-highest)
    return np.asarray(likelihood / total[pair_picture])


def _best_pair(pair_picture: Integers, posterior: Floats, n_pictures: int) -> Integers:
    """The most probable pair of each picture [N]; the first in label order wins a tie."""
    order = np.lexsort((np.arange(len(posterior)), -posterior, pair_picture))
    first = np.searchsorted(pair_picture[order], np.arange(n_pictures))
    return order[first]
