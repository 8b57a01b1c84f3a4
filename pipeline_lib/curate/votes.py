"""What several people said, as one label with a probability.

How labels and annotators are estimated: vote_errors.py. Work and memory grow with the votes, not with images x classes.

Legend: V votes, P distinct (image, class) pairs that were voted, N images, A annotators.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline_lib.curate.vote_errors import Ballots, Strengths, estimate

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Consensus:
    """labels: index image_id; `label` the most probable class, `posterior` 0..1. qualities: annotator -> P(right).

    soft: image_id, class_id, probability of every class that somebody named; the classes nobody named share the rest.
    strengths: how alike annotators' errors and the classes' shares turned out to be.
    """

    labels: pd.DataFrame
    qualities: pd.Series
    soft: pd.DataFrame
    strengths: Strengths


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

    # One number for each pair, which sorts by image and then by label.
    base = max(len(labels), 1)
    pairs, of_vote = np.unique(image.astype(np.int64) * base + label, return_inverse=True)
    image_of_pair, label_of_pair = np.divmod(pairs, base)
    of_expert = np.isin(annotators, list(experts))[annotator]
    ballots = Ballots(
        annotator=annotator.astype(np.int64),
        of_vote=of_vote,
        image=image_of_pair,
        label=label_of_pair,
        truth=_known(image_of_pair, of_vote[of_expert], n_images=len(images)),
        n_images=len(images),
        n_annotators=len(annotators),
        n_labels=len(labels),
        n_classes=max(n_classes, len(labels), 2),
    )
    found = estimate(ballots)

    best = _best_pair(ballots, found.posterior)
    names = np.asarray(labels)[label_of_pair]
    soft = pd.DataFrame(
        {
            "image_id": np.asarray(images)[image_of_pair],
            "class_id": names,
            "probability": found.posterior,
        }
    )
    image_ids = pd.Index(images, name="image_id")
    return Consensus(
        labels=pd.DataFrame(
            {"label": names[best], "posterior": found.posterior[best]}, index=image_ids
        ),
        qualities=pd.Series(found.quality, index=annotators, dtype=float),
        soft=soft.astype({"image_id": "str", "class_id": "str"}),
        strengths=found.strengths,
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


def _known(image_of_pair: Integers, named_by_experts: Integers, *, n_images: int) -> Floats:
    """1 or 0 for the pairs [P] of images whose experts all named one class, NaN for all other images."""
    named = np.unique(named_by_experts)
    n_named = np.bincount(image_of_pair[named], minlength=n_images)
    truth = np.where(n_named[image_of_pair] == 1, 0.0, np.nan)
    truth[named] = np.where(np.isnan(truth[named]), np.nan, 1.0)
    return truth


def _best_pair(ballots: Ballots, posterior: Floats) -> Integers:
    """The most probable pair of each image [N]; the first in label order wins a tie."""
    order = np.lexsort((np.arange(len(posterior)), -posterior, ballots.image))
    first = np.searchsorted(ballots.image[order], np.arange(ballots.n_images))
    return order[first]
