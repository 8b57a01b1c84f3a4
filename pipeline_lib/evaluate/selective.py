"""Answering only where the model is sure enough: coverage, the share of images answered, against their accuracy.

Source: Geifman and El-Yaniv 2017 (arXiv 1705.08500). N images.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline_lib.evaluate.calibration import Certainty
from pipeline_lib.evaluate.metrics import share_with_interval
from pipeline_lib.evaluate.ranking import curve_of
from pipeline_lib.tables.figures import PROMISED, at_promise

STEPS = 100  # of coverage in the curve


def area_under_risk(found: Certainty) -> float:
    """AURC, 0..1: the mean over n = 1..N of the share of wrong answers among the n surest; lower is better.

    Among equally sure answers the order is drawn: this is the mean over all orders.
    """
    ends, wrong = _counts_from_the_top(found)
    answered = np.arange(1, ends[-1] + 1)
    expected_wrong = np.interp(answered, [0, *ends], [0, *wrong])
    return float((expected_wrong / answered).mean())


def thresholds(validation: Certainty) -> dict[float, float]:
    """Promised accuracy -> the least confidence to answer at, chosen for the most right answers on validation.

    What validation never reaches is absent.
    """
    curve = curve_of(
        np.sort(validation.confidence_N), validation.confidence_N[validation.correct_N]
    )
    places = {promised: curve.best_at(promised) for promised in PROMISED}
    return {
        promised: float(curve.thresholds_T[at]) for promised, at in places.items() if at is not None
    }


def selective_figures(found: Certainty, chosen: dict[float, float]) -> dict[str, float]:
    """Of each promised accuracy: coverage of these images at the threshold, and accuracy with its interval."""
    figures: dict[str, float] = {}
    for promised, threshold in chosen.items():
        is_answered_N = found.confidence_N >= threshold
        n = int(is_answered_N.sum())
        right = int(found.correct_N[is_answered_N].sum())
        figures[at_promise("coverage", promised)] = n / len(is_answered_N)
        figures |= share_with_interval(at_promise("accuracy", promised), right, n)
    return figures


def selective_curve(found: Certainty) -> pd.DataFrame:
    """A row per step of coverage: coverage, threshold, n, accuracy with _low and _high; the surest answers first.

    Equally sure answers are given together, so there may be fewer than 100 steps.
    """
    ends, wrong = _counts_from_the_top(found)
    n = ends[-1]
    wanted = np.arange(1, STEPS + 1) * n / STEPS
    kept = np.unique(np.searchsorted(ends, wanted, side="left"))
    sure_N = np.sort(found.confidence_N)[::-1]
    return pd.DataFrame(
        [
            {
                "coverage": answered / n,
                "threshold": float(sure_N[answered - 1]),
                "n": answered,
                **share_with_interval("accuracy", answered - missed, answered),
            }
            for answered, missed in zip(ends[kept].tolist(), wrong[kept].tolist(), strict=True)
        ]
    )


def _counts_from_the_top(
    found: Certainty,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """At each confidence that some image has, highest first: the images at or above it, and the wrong ones among them."""
    _, place_N, counts = np.unique(-found.confidence_N, return_inverse=True, return_counts=True)
    wrong = np.bincount(place_N[~found.correct_N], minlength=len(counts))
    return np.cumsum(counts), np.cumsum(wrong)
