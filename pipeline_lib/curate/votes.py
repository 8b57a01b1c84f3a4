"""What several people said, as one label with a probability.

Method: one-coin Dawid-Skene. Each annotator is right with one unknown probability and errs evenly over the other
classes; labels and qualities are estimated together by expectation-maximisation (A. P. Dawid, A. M. Skene, "Maximum
Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", Applied Statistics 28(1), 1979; one-coin:
Zhang, Chen, Zhou, Jordan, "Spectral Methods Meet EM", JMLR 17, 2016). Work and memory grow with the votes, not with
images x classes.

Legend: V votes, P distinct (image, class) pairs that were voted, N images, A annotators, K classes.
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


@dataclass(frozen=True)
class _Pairs:
    """The distinct (image, label) pairs. of_vote [V]: the pair of each vote; image, label [P]: numbers of each pair."""

    of_vote: Integers
    image: Integers
    label: Integers
    n_images: int
    n_classes: int


def aggregate(
    votes: pd.DataFrame, n_classes: int, experts: frozenset[str] = frozenset()
) -> Consensus:
    """Aggregate votes (columns image_id, annotator, label). Ties go to the label that sorts first.

    experts: annotators whose word is taken as the truth where they do not contradict each other; the others' qualities
    are then estimated on known answers too.
    """
    image, images = pd.factorize(votes["image_id"], sort=True)
    annotator, annotators = pd.factorize(votes["annotator"], sort=True)
    label, labels = pd.factorize(votes["label"], sort=True)
    n_classes = max(n_classes, len(labels), 2)
    pairs = _pairs(image, label, n_labels=len(labels), n_images=len(images), n_classes=n_classes)
    of_expert = np.isin(annotators, list(experts))[annotator]
    truth = _known(pairs, of_expert=of_expert)

    quality: Floats = np.full(len(annotators), FIRST_GUESS)
    n_by_annotator = np.bincount(annotator, minlength=len(annotators))
    posterior: Floats = np.zeros(len(pairs.image))
    for _ in range(MAX_ROUNDS):
        # Expectation: what the votes say, as good as their annotators are thought to be.
        evidence = _log_odds(quality, n_classes)[annotator]
        posterior = _posterior(pairs, evidence)
        posterior = np.where(np.isnan(truth), posterior, truth)

        # Maximisation: how often each annotator agrees with it. Laplace's rule: nobody is certain.
        last = quality
        n_right = np.bincount(annotator, posterior[pairs.of_vote], len(annotators))
        quality = (n_right + 1) / (n_by_annotator + 2)
        if len(quality) == 0 or np.abs(quality - last).max() < SETTLED:
            break

    best = _best_pair(pairs, posterior)
    names = np.asarray(labels)[pairs.label]
    soft = pd.DataFrame(
        {
            "image_id": np.asarray(images)[pairs.image],
            "class_id": names,
            "probability": posterior,
        }
    )
    image_ids = pd.Index(images, name="image_id")
    return Consensus(
        labels=pd.DataFrame({"label": names[best], "posterior": posterior[best]}, index=image_ids),
        qualities=pd.Series(quality, index=annotators, dtype=float),
        soft=soft.astype({"image_id": "str", "class_id": "str"}),
    )


def known_answers(votes: pd.DataFrame, experts: frozenset[str]) -> pd.Series:
    """The class by image_id where experts voted and all said the same: control images for everybody else."""
    of_experts = votes[votes["annotator"].isin(experts)]
    said = of_experts.drop_duplicates(["image_id", "label"])
    agreed = said[~said.duplicated("image_id", keep=False)]
    return agreed.set_index("image_id")["label"]


def majority(votes: pd.DataFrame) -> pd.Series:
    """The label most people chose, by image_id; ties go to the label that sorts first."""
    counts = votes.groupby(["image_id", "label"], sort=True).size().rename("n").reset_index()
    counts = counts.sort_values(["image_id", "n", "label"], ascending=[True, False, True])
    return counts.groupby("image_id")["label"].first()


def agreement(votes: pd.DataFrame) -> pd.Series:
    """Per annotator, the share 0..1 of the other people's votes on the same images that chose the same label."""
    n_others = votes.groupby("image_id")["label"].transform("size") - 1
    n_same = votes.groupby(["image_id", "label"])["label"].transform("size") - 1
    compared = pd.DataFrame({"annotator": votes["annotator"], "same": n_same, "others": n_others})
    totals = compared.groupby("annotator").sum()
    return totals["same"] / totals["others"].where(totals["others"] > 0)


def krippendorff_alpha(votes: pd.DataFrame) -> float:
    """Krippendorff's alpha for nominal data: 1 agreement, 0 chance; NaN when nothing can be compared.

    Source: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011, section C.
    """
    # Images with one vote alone say nothing of agreement.
    n_votes = votes.groupby("image_id")["label"].transform("size")
    paired = votes[n_votes > 1]
    per_value = paired.groupby("label").size().to_numpy(dtype=float)
    n = per_value.sum()
    expected = n**2 - (per_value**2).sum()
    if expected == 0:
        return float("nan")

    cells = paired.groupby(["image_id", "label"]).size().rename("n").reset_index()
    cells = cells.assign(squared=cells["n"] ** 2)
    units = cells.groupby("image_id")[["n", "squared"]].sum()
    observed = ((units["n"] ** 2 - units["squared"]) / (units["n"] - 1)).sum()
    return float(1 - (n - 1) * observed / expected)


def _pairs(
    image: Integers, label: Integers, *, n_labels: int, n_images: int, n_classes: int
) -> _Pairs:
    # One number for each pair, which sorts by image and then by label.
    base = max(n_labels, 1)
    number = image.astype(np.int64) * base + label
    distinct, of_vote = np.unique(number, return_inverse=True)
    return _Pairs(of_vote, distinct // base, distinct % base, n_images, n_classes)


def _known(pairs: _Pairs, *, of_expert: NDArray[np.bool_]) -> Floats:
    """1 or 0 for the pairs [P] of images whose experts all named one class, NaN for all other images."""
    named = np.unique(pairs.of_vote[of_expert])
    n_named = np.bincount(pairs.image[named], minlength=int(pairs.image.max(initial=0)) + 1)
    truth = np.where(n_named[pairs.image] == 1, 0.0, np.nan)
    truth[named] = np.where(np.isnan(truth[named]), np.nan, 1.0)
    return truth


def _log_odds(quality: Floats, n_classes: int) -> Floats:
    """What one vote of each annotator [A] adds to the log-probability of the class it names, against every other."""
    each_wrong_class = (1 - quality) / (n_classes - 1)
    return np.log(quality) - np.log(each_wrong_class)


def _posterior(pairs: _Pairs, evidence: Floats) -> Floats:
    """P(class) of every voted pair [P], the classes nobody voted for counted too; prior uniform."""
    score = np.bincount(pairs.of_vote, evidence, len(pairs.image))

    # Less the highest of each image, so that no exponential overflows; a class without votes scores 0.
    highest = np.zeros(pairs.n_images)
    np.maximum.at(highest, pairs.image, score)
    likelihood = np.exp(score - highest[pairs.image])

    n_named = np.bincount(pairs.image, minlength=pairs.n_images)
    unseen = pairs.n_classes - n_named
    total = np.bincount(pairs.image, likelihood, pairs.n_images) + unseen * np.exp(-highest)
    return np.asarray(likelihood / total[pairs.image])


def _best_pair(pairs: _Pairs, posterior: Floats) -> Integers:
    """The most probable pair of each image [N]; the first in label order wins a tie."""
    order = np.lexsort((np.arange(len(posterior)), -posterior, pairs.image))
    first = np.searchsorted(pairs.image[order], np.arange(pairs.n_images))
    return order[first]
