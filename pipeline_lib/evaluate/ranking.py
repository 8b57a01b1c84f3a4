"""Precision and recall at every threshold, one class against the rest. N images, K classes, T thresholds.

A threshold below the score of a positive and above the next one's only adds negatives, so the scores of positives are
all the thresholds that matter: their number is N for all classes together, in place of N x K.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline_lib.evaluate.metrics import share_with_interval
from pipeline_lib.tables.figures import OPERATING_COLUMNS, PROMISED

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
CLASSES_AT_ONCE = 64  # 26 MB of 50,000 images, copied so that a class lies in one piece


@dataclass(frozen=True)
class Curve:
    """At each threshold, highest first: the positives at or above it, and all images at or above it."""

    thresholds_T: Floats
    hits_T: Labels
    chosen_T: Labels

    def average_precision(self) -> float:
        """The sum of precision x gained recall, as scikit-learn defines it; NaN where there is no positive."""
        if not len(self.hits_T):
            return math.nan
        gained_T = np.diff(self.hits_T, prepend=0)
        return float((gained_T * (self.hits_T / self.chosen_T)).sum() / self.hits_T[-1])

    def best_at(self, precision: float) -> int | None:
        """The place of the threshold with the most positives among those of at least this precision; None: there is none.

        As torchmetrics' RecallAtFixedPrecision chooses: the greatest recall, then the highest threshold.
        """
        reached = np.flatnonzero(self.hits_T / self.chosen_T >= precision)
        return int(reached[-1]) if len(reached) else None


@dataclass(frozen=True)
class Curves:
    """The curve of each class in label order, and micro: every image with every class as one question of N x K."""

    classes: tuple[Curve, ...]
    micro: Curve


def curve_of(scores: Floats, positive: Floats) -> Curve:
    """The curve of some scores. scores: all of them, sorted upwards; positive: those of the positives."""
    thresholds_T, counts_T = np.unique(positive, return_counts=True)
    chosen_T = len(scores) - np.searchsorted(scores, thresholds_T, side="left")
    return Curve(thresholds_T[::-1], np.cumsum(counts_T[::-1]), chosen_T[::-1])


def curves_of(p_NK: Floats, labels_N: Labels) -> Curves:
    """The curves of one split."""
    n, n_classes = p_NK.shape
    p_true_N = p_NK[np.arange(n), labels_N]
    by_class = np.argsort(labels_N, kind="stable")
    ends = np.cumsum(np.bincount(labels_N, minlength=n_classes))
    positives = np.split(p_true_N[by_class], ends[:-1])
    thresholds_T, counts_T = np.unique(p_true_N, return_counts=True)
    chosen_T = np.zeros(len(thresholds_T), np.int64)

    classes: list[Curve] = []
    for first in range(0, n_classes, CLASSES_AT_ONCE):
        block_CN = np.array(p_NK[:, first : first + CLASSES_AT_ONCE].T, order="C")
        block_CN.sort(axis=1)
        for scores_N in block_CN:
            classes.append(curve_of(scores_N, positives[len(classes)]))
            chosen_T += n - np.searchsorted(scores_N, thresholds_T, side="left")
    micro = Curve(thresholds_T[::-1], np.cumsum(counts_T[::-1]), chosen_T[::-1])
    return Curves(tuple(classes), micro)


def operating_points(
    validation: Curves, p_NK: Floats, labels_N: Labels, *, class_ids: Sequence[str]
) -> pd.DataFrame:
    """A row per class and promised precision: the threshold that validation chose, and what it gives on these images.

    n_validation, n: the images at or above the threshold there and here. NaN where no threshold reaches the precision
    on validation, and where the class has no image here.
    """
    support_K = np.bincount(labels_N, minlength=len(class_ids))
    p_true_N = p_NK[np.arange(len(labels_N)), labels_N]
    rows = []
    for promised in PROMISED:
        places = [curve.best_at(promised) for curve in validation.classes]
        found = list(zip(validation.classes, places, strict=True))
        threshold_K = np.array(
            [math.inf if at is None else curve.thresholds_T[at] for curve, at in found]
        )
        chosen_K = np.count_nonzero(p_NK >= threshold_K, axis=0)
        hits_K = np.bincount(labels_N[p_true_N >= threshold_K[labels_N]], minlength=len(class_ids))
        for k, (curve, at) in enumerate(found):
            row: dict[str, object] = {"label": k, "class": class_ids[k], "promised": promised}
            if at is not None:
                row |= {"threshold": float(threshold_K[k]), "n_validation": int(curve.chosen_T[at])}
            if at is not None and support_K[k]:
                row |= {
                    "n": int(chosen_K[k]),
                    **share_with_interval("precision", int(hits_K[k]), int(chosen_K[k])),
                    **share_with_interval("recall", int(hits_K[k]), int(support_K[k])),
                }
            rows.append(row)
    table = pd.DataFrame(rows, columns=["label", *OPERATING_COLUMNS])
    in_order = table.sort_values(["label", "promised"], ignore_index=True)
    return in_order[OPERATING_COLUMNS].astype({"n_validation": "Int64", "n": "Int64"})
