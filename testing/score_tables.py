"""Probabilities and labels on which metrics tend to err, and the same figures by scikit-learn and torchmetrics.

p_NK: float64, rows sum to 1. Everything is compared in float64.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional import classification as torch_metrics
from torchmetrics.functional.classification.calibration_error import _ce_compute

from pipeline_lib.evaluate.ranking import operating_points
from pipeline_lib.evaluate.summary import summarise
from pipeline_lib.tables.figures import PROMISED

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
EIGHTHS = 8
EDGES = 15  # of the bins of confidence
Figures = dict[str, Any]


def random_table(random: np.random.Generator) -> tuple[Floats, Labels]:
    """Between 2 and 400 images of 2 to 12 classes, from hopeless to nearly all right."""
    n, k = int(random.integers(2, 400)), int(random.integers(2, 13))
    labels_N = random.integers(0, k, (n,))
    logits_NK = random.normal(0, 1, (n, k)) * random.uniform(0.1, 4)
    logits_NK[np.arange(n), labels_N] += random.uniform(-1, 6)
    p_NK = np.exp(logits_NK - logits_NK.max(1, keepdims=True))
    return p_NK / p_NK.sum(1, keepdims=True), labels_N


def hard_tables(random: np.random.Generator) -> Iterator[tuple[str, Floats, Labels]]:
    """One of each kind: name, p_NK, labels_N."""
    p_NK, labels_N = random_table(random)
    n, k = p_NK.shape

    def tied(n: int, k: int) -> Floats:
        return random.multinomial(EIGHTHS, random.dirichlet(np.full(k, 0.5), n)) / EIGHTHS

    yield "ties, zeros and ones", tied(n, k), labels_N
    yield "all probabilities equal", np.full((n, k), 1 / k), labels_N
    yield "all right, certain", np.eye(k)[labels_N], labels_N
    yield "all wrong, certain", np.eye(k)[(labels_N + 1) % k], labels_N
    yield "one image", p_NK[:1], labels_N[:1]
    yield "one image, certain and wrong", np.eye(k)[(labels_N[:1] + 1) % k], labels_N[:1]
    yield "two classes", tied(n, 2), random.integers(0, 2, (n,))
    yield "one class of many has images", tied(n, k), np.full(n, k - 1)
    without = np.where(labels_N == 0, 1, labels_N)
    yield "a class without images that is answered", tied(n, k), without
    never_NK = p_NK * (np.arange(k) != 1)
    never_NK[:, 0] += 1e-12
    yield "a class that is never answered", never_NK / never_NK.sum(1, keepdims=True), labels_N
    sure_N = random.integers(EDGES // 2 + 1, EDGES + 1, n) / EDGES
    yield "confidences on the edges of bins", np.stack([sure_N, 1 - sure_N], 1), labels_N % 2
    if len(labels_N) > 1:
        order = np.argsort(labels_N, kind="stable")
        yield "sorted by label", tied(n, k)[order], labels_N[order]


def ours(p_NK: Floats, labels_N: Labels) -> Figures:
    """What evaluate says."""
    found = summarise(p_NK, labels_N, rounds=1, seed=0)
    ids = [str(k) for k in range(p_NK.shape[1])]
    points = operating_points(found.curves, p_NK, labels_N, class_ids=ids)
    figures: Figures = {
        name: found.figures[name]
        for name in ("precision", "recall", "f1", "precision_weighted", "f1_weighted", "top1")
    }
    figures |= {name: found.figures[name] for name in ("ap", "ap_micro", "nll", "brier")}
    figures["ece_equal_width"] = found.figures["ece_equal_width"]
    figures["ap of classes"] = found.per_class["ap"].to_numpy()
    for promised in PROMISED:
        rows = points[points["promised"] == promised]
        for name in ("threshold", "precision", "recall"):
            figures[f"{name} at {promised}"] = rows[name].to_numpy(float)
    return figures


def of_scikit_learn(p_NK: Floats, labels_N: Labels) -> Figures:
    """The same by scikit-learn; macro averages over the classes with images. At least two classes."""
    k = p_NK.shape[1]
    said_N = p_NK.argmax(1)
    present = np.unique(labels_N)
    is_label_NK = np.eye(k, dtype=int)[labels_N]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes without images
        macro, weighted, micro = (
            sklearn_metrics.precision_recall_fscore_support(
                labels_N, said_N, labels=labels, average=average, zero_division=0
            )
            for labels, average in (
                (present, "macro"),
                (range(k), "weighted"),
                (range(k), "micro"),
            )
        )
        ap_K = np.array(
            [
                sklearn_metrics.average_precision_score(is_label_NK[:, j], p_NK[:, j])
                if j in present
                else np.nan
                for j in range(k)
            ]
        )
        figures: Figures = {
            "precision": macro[0],
            "recall": macro[1],
            "f1": macro[2],
            "precision_weighted": weighted[0],
            "f1_weighted": weighted[2],
            "ap": np.nanmean(ap_K),
            "ap of classes": ap_K,
            "ap_micro": sklearn_metrics.average_precision_score(is_label_NK.ravel(), p_NK.ravel()),
            "nll": sklearn_metrics.log_loss(labels_N, p_NK, labels=range(k)),
            "brier": sklearn_metrics.brier_score_loss(
                labels_N, p_NK, labels=range(k), scale_by_half=False
            ),
        }
        # One image has one label and one answer: these are top-1 under other names.
        for same in (*micro[:3], weighted[1], sklearn_metrics.accuracy_score(labels_N, said_N)):
            figures["top1"] = same
            assert abs(same - (said_N == labels_N).mean()) < 1e-12
        assert (
            abs(figures["recall"] - sklearn_metrics.balanced_accuracy_score(labels_N, said_N))
            < 1e-12
        )
    return figures


def of_torchmetrics(p_NK: Floats, labels_N: Labels) -> Figures:
    """The same by torchmetrics, which divides integers in the default type: float64 here.

    Three of its ways are left out (1.9.0): its calibration error rounds to float32 before it computes, one of its 16
    edges is a bit off k / 15, and of one image it gives classes without images a precision of 0.
    """
    k = p_NK.shape[1]
    has_images_K = np.bincount(labels_N, minlength=k) > 0
    p, labels = torch.from_numpy(p_NK), torch.from_numpy(labels_N)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ap_K = torch_metrics.multiclass_average_precision(p, labels, k, average="none")
            confidence_N, said_N = p.max(1)
            is_right_N = (said_N == labels).double()
            edges = torch.arange(EDGES + 1) / EDGES
            figures: Figures = {
                "ap of classes": np.where(has_images_K, ap_K, np.nan),
                "ece_equal_width": float(_ce_compute(confidence_N, is_right_N, edges)),
                "f1_weighted": float(
                    torch_metrics.multiclass_f1_score(p, labels, k, average="weighted")
                ),
            }
            if len(labels) > 1:
                figures["ap"] = float(torch_metrics.multiclass_average_precision(p, labels, k))
            for promised in PROMISED:
                recall_K, threshold_K = torch_metrics.multiclass_recall_at_fixed_precision(
                    p, labels, k, min_precision=promised
                )
                reached_K = has_images_K & ~np.isnan(threshold_K.numpy())
                figures[f"recall at {promised}"] = np.where(reached_K, recall_K, np.nan)
                figures[f"threshold at {promised}"] = np.where(reached_K, threshold_K, np.nan)
    finally:
        torch.set_default_dtype(before)
    return figures


def largest_difference(found: Figures, expected: Figures) -> float:
    """Over the figures of both; infinite where one is a number and the other is not."""
    largest = 0.0
    for name, value in expected.items():
        a, b = (
            np.atleast_1d(np.asarray(found[name], float)),
            np.atleast_1d(np.asarray(value, float)),
        )
        if (np.isnan(a) != np.isnan(b)).any():
            return np.inf
        known = ~np.isnan(a)
        if known.any():
            largest = max(largest, float(np.abs(a - b)[known].max()))
    return largest
