"""Calibrated predictions: from logits to probabilities, and from those to the predictions table.

Temperature scaling (Guo et al. 2017, arXiv 1706.04599): one number that makes confidences honest.

N images, K classes; logits float, labels int.
"""

from __future__ import annotations

import logging
import math
from dataclasses import fields

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline_lib.evaluate.calibration import Certainty, certainty
from pipeline_lib.evaluate.metrics import ROWS_AT_ONCE, top_classes

log = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

# Where validation is all right the loss has no minimum: a free fit ended at 0.03 on 180 images, every wrong answer at
# confidence 1 and a test loss of 0.42 nats in place of 0.04.
LOWEST, HIGHEST = 0.25, 4.0
FEW_ERRORS = 10
HALVINGS = 40  # of an interval of length 4: to 4e-12


def log_softmax(logits_NK: Floats, *, temperature: float = 1.0) -> Floats:
    """Natural logarithm of the softmax of logits / temperature over the last axis."""
    result_NK = np.empty_like(logits_NK)
    for start in range(0, len(logits_NK), ROWS_AT_ONCE):
        part_BK = logits_NK[start : start + ROWS_AT_ONCE] / temperature
        shifted_BK = part_BK - part_BK.max(axis=1, keepdims=True)
        total_B1 = np.exp(shifted_BK).sum(axis=1, keepdims=True)
        result_NK[start : start + ROWS_AT_ONCE] = shifted_BK - np.log(total_B1)
    return result_NK


def fit_temperature(logits_NK: Floats, labels_N: Labels) -> float:
    """The temperature in [0.25, 4] with the lowest loss of softmax(logits / temperature).

    The loss is convex in 1 / temperature, so the sign of its slope leads a bisection there.
    """
    n_wrong = int((logits_NK.argmax(axis=1) != labels_N).sum())
    if n_wrong < FEW_ERRORS:
        log.warning(
            "the temperature is fitted on %d validation errors: confidences are rough (%d or more are wanted)",
            n_wrong,
            FEW_ERRORS,
        )
    low, high = 1 / HIGHEST, 1 / LOWEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _slope(middle, logits_NK, labels_N) > 0:
            high = middle
        else:
            low = middle
    temperature = round(1 / high, 6)
    return min(max(temperature, LOWEST), HIGHEST)


def uncalibrated(logits_NK: Floats, labels_N: Labels) -> Certainty:
    """What calibration is measured from, at temperature 1. Block by block: no second matrix."""
    parts = [
        certainty(
            np.exp(log_softmax(logits_NK[start : start + ROWS_AT_ONCE])),
            labels_N[start : start + ROWS_AT_ONCE],
        )
        for start in range(0, len(logits_NK), ROWS_AT_ONCE)
    ]
    return Certainty(
        *(
            np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(Certainty)
        )
    )


def predictions(
    image_ids: list[str], split: str, *, log_p_NK: Floats, labels_N: Labels
) -> pd.DataFrame:
    """One row per image of a split, as tables/predictions.py says. log_p_NK: calibrated log-probabilities."""
    rows_N = np.arange(len(labels_N))
    top = top_classes(log_p_NK)
    predicted_N = top[:, 0]
    log_p_label_N = log_p_NK[rows_N, labels_N]
    top_p = np.exp(np.take_along_axis(log_p_NK, top, axis=1))
    return pd.DataFrame(
        {
            "image_id": image_ids,
            "split": split,
            "label": labels_N.astype(np.int32),
            "predicted": predicted_N.astype(np.int32),
            "correct": predicted_N == labels_N,
            "p_label": np.exp(log_p_label_N).astype(np.float32),
            "p_predicted": top_p[:, 0].astype(np.float32),
            "loss": -log_p_label_N.astype(np.float32),
            "top_classes": list(top.astype(np.int32)),
            "top_p": list(top_p.astype(np.float32)),
        }
    )


def _slope(inverse: float, logits_NK: Floats, labels_N: Labels) -> float:
    """d loss / d (1 / temperature): the mean logit under the prediction less the mean logit of the truth."""
    expected_N = np.empty(len(logits_NK))
    for start in range(0, len(logits_NK), ROWS_AT_ONCE):
        part_BK = logits_NK[start : start + ROWS_AT_ONCE]
        p_BK = np.exp(log_softmax(part_BK * inverse))
        expected_N[start : start + ROWS_AT_ONCE] = (p_BK * part_BK).sum(axis=1)
    true_N = logits_NK[np.arange(len(labels_N)), labels_N]
    slope = float((expected_N - true_N).mean())
    assert math.isfinite(slope)
    return slope
