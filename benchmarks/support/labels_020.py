"""How release 0.2.0 doubted labels, kept to be compared with.

Three predictors (logistic regression, ten nearest neighbours, 25 extremely randomised trees), their geometric mean, and a
rank that combines the probability of the given label with the same by its class's own measure. Every label for which
another class was more probable was a question; those that lost by more than .4 were doubted.

Legend: N images, D features, K classes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

MARGIN, FLOOR = 0.4, 1e-3

Reals = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Opinion020:
    """accuracy: share of labels that are the most probable class. doubt [N]: the rank. queued, doubted [N]: see above."""

    accuracy: float
    doubt: Reals
    queued: NDArray[np.bool_]
    doubted: NDArray[np.bool_]


def opinion_020(
    vectors_ND: NDArray[np.float32], labels: Codes, fold: Codes, *, draw: Reals, most: int
) -> Opinion020:
    """Judge every label out of its fold. vectors_ND: scaled as `curate` does. `most` images with the lowest draws teach."""
    n_classes = int(labels.max()) + 1
    p_NK = np.zeros((len(labels), n_classes))
    for k in np.unique(fold):
        held = fold == k
        others = np.flatnonzero(~held)
        learn = others[np.argsort(draw[others], kind="stable")[:most]]
        learn.sort()
        p_NK[held] = _consensus(vectors_ND[learn], labels[learn], vectors_ND[held], n_classes)
    rows = np.arange(len(labels))
    p_given = p_NK[rows, labels]
    queued = p_NK.argmax(axis=1) != labels
    return Opinion020(
        accuracy=float(1 - queued.mean()),
        doubt=_doubt(p_NK, labels),
        queued=queued,
        doubted=queued & (p_NK.max(axis=1) - p_given > MARGIN),
    )


def _consensus(
    learn_ND: NDArray[np.float32], labels: Codes, asked_ND: NDArray[np.float32], n_classes: int
) -> Reals:
    total_NK = np.zeros((len(asked_ND), n_classes))
    for model in (
        LogisticRegression(C=1.0, max_iter=60, tol=1e-3),
        KNeighborsClassifier(10, weights="distance", algorithm="brute"),
        ExtraTreesClassifier(25, min_samples_leaf=2, random_state=0, n_jobs=1),
    ):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="sklearn")  # not yet converged
            model.fit(learn_ND, labels)
        p_NK = np.zeros_like(total_NK)
        p_NK[:, model.classes_] = model.predict_proba(asked_ND)
        total_NK += np.log(np.maximum(p_NK, FLOOR))
    mean_NK = np.exp(total_NK / 3)
    return np.asarray(mean_NK / mean_NK.sum(axis=1, keepdims=True))


def _doubt(p_NK: Reals, labels: Codes) -> Reals:
    rows = np.arange(len(labels))
    n_classes = p_NK.shape[1]
    usual_K = np.bincount(labels, p_NK[rows, labels], n_classes) / np.bincount(
        labels, minlength=n_classes
    ).clip(1)
    p_share = p_NK[rows, labels] / np.sqrt(p_NK.max(axis=1))
    q_NK = p_NK / usual_K.clip(1e-6)
    q_share = q_NK[rows, labels] / np.sqrt(q_NK.max(axis=1) * q_NK.sum(axis=1))
    return np.asarray(1 - np.sqrt(p_share * q_share))
