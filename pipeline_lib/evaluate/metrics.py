"""What is counted right and wrong in one split, with intervals of 95 %. N images, K classes.

Macro metrics are means over the classes that the split has images of: of the others nothing is measured, and a zero
in their place would be a statement about the model.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline_lib.share_interval import Interval, wilson

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
TOP = 5
ROWS_AT_ONCE = (
    1024  # memory that is used again: fresh memory for all rows costs more time than the arithmetic
)


def per_class(predicted_N: Labels, labels_N: Labels, *, n_classes: int) -> pd.DataFrame:
    """One row per class, in label order: support, precision, recall (with _low and _high) and f1.

    A class that was never predicted has precision 0, as in scikit-learn with zero_division=0. A class without
    images has no metrics (NaN): that all predictions of it are wrong was certain before.
    """
    support = np.bincount(labels_N, minlength=n_classes)
    chosen = np.bincount(predicted_N, minlength=n_classes)
    hits = np.bincount(labels_N[predicted_N == labels_N], minlength=n_classes)
    rows = []
    for k in range(n_classes):
        shares = {
            **share_with_interval("precision", int(hits[k]), int(chosen[k])),
            **share_with_interval("recall", int(hits[k]), int(support[k])),
        }
        f1 = 2 * hits[k] / (support[k] + chosen[k]) if support[k] else math.nan
        rows.append({"support": int(support[k]), **shares, "f1": float(f1)})
    table = pd.DataFrame(rows)
    measured = table.columns.drop("support")
    table.loc[table["support"] == 0, measured] = math.nan
    return table


def bootstrap_macro_f1(
    predicted_N: Labels, labels_N: Labels, *, n_classes: int, rounds: int, seed: int
) -> Interval:
    """Percentile bootstrap (Efron 1979) of macro F1 over the images.

    Drawing N images anew is drawing the counts of the (label, predicted) pairs from a multinomial, which is cheap.
    """
    pairs, counts = np.unique(labels_N * n_classes + predicted_N, return_counts=True)
    actual = pairs // n_classes
    chosen = pairs % n_classes
    is_hit = actual == chosen

    # The pairs come sorted by label, and sorted by prediction in `by_chosen`: sums of runs of them are sums by class.
    labels_with_pairs, first_of_label = np.unique(actual, return_index=True)
    by_chosen = np.argsort(chosen, kind="stable")
    classes_chosen, first_of_chosen = np.unique(chosen[by_chosen], return_index=True)
    random = np.random.default_rng(seed)
    scores = []
    for _ in range(rounds):
        drawn = random.multinomial(len(labels_N), counts / counts.sum())
        support = np.zeros(n_classes)
        support[labels_with_pairs] = np.add.reduceat(drawn, first_of_label)
        hits = np.zeros(n_classes)
        hits[actual[is_hit]] = drawn[is_hit]
        total = support.copy()
        total[classes_chosen] += np.add.reduceat(drawn[by_chosen], first_of_chosen)

        # F1 of each class that this draw has images of: twice the hits over actual and predicted ones.
        present = support > 0
        scores.append(np.mean(2 * hits[present] / total[present]))
    low, high = np.percentile(scores, [2.5, 97.5])
    return Interval(float(low), float(high))


def in_top5(p_NK: Floats, labels_N: Labels) -> npt.NDArray[np.bool_]:
    """Whether fewer than five classes come before the label; among equals the lower index does."""
    p_true_N1 = np.take_along_axis(p_NK, labels_N[:, None], axis=1)
    n_before = (p_NK > p_true_N1).sum(axis=1)
    equal_N, equal_K = np.nonzero(p_NK == p_true_N1)
    earlier = equal_K < labels_N[equal_N]
    n_before += np.bincount(equal_N[earlier], minlength=len(labels_N))
    among: npt.NDArray[np.bool_] = n_before < TOP
    return among


def top_classes(p_NK: Floats, most: int = TOP) -> Labels:
    """The `most` most probable classes (fewer when K is smaller), best first; among equals the lower index.

    p_NK: finite. One search for the largest per place: a tenth of the time of sorting 1,000 classes.
    """
    n, n_classes = p_NK.shape
    top = np.empty((n, min(most, n_classes)), np.int64)
    for start in range(0, n, ROWS_AT_ONCE):
        left_BK = p_NK[start : start + ROWS_AT_ONCE].copy()
        rows_B = np.arange(len(left_BK))
        for place in range(top.shape[1]):
            best_B = left_BK.argmax(axis=1)
            top[start : start + ROWS_AT_ONCE, place] = best_B
            left_BK[rows_B, best_B] = -np.inf
    return top


def share_with_interval(name: str, right: int, n: int) -> dict[str, float]:
    """A share by its name, with its limits by `name_low` and `name_high`; 0 where n is 0."""
    interval = wilson(right, n)
    return {
        name: right / n if n else 0.0,
        f"{name}_low": interval.low,
        f"{name}_high": interval.high,
    }
