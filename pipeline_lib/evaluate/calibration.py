"""How far the probabilities of a split can be believed. N images, K classes.

Brier score: the squared distance of the K probabilities from the truth, 0..2 (Brier 1950, doi
10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2), which scikit-learn halves for two classes; here it is not halved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline_lib.evaluate.metrics import share_with_interval

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
ECE_BINS = 15
LEAST_P = float(np.finfo(np.float64).eps)  # of a true class, so that its logarithm is finite
EQUAL_WIDTH = "_equal_width"


@dataclass(frozen=True)
class Certainty:
    """Of each image: the probability of the answer and of the truth, whether they agree, and its Brier score."""

    confidence_N: Floats
    correct_N: Bools
    p_true_N: Floats
    brier_N: Floats


def certainty(p_NK: Floats, labels_N: Labels) -> Certainty:
    """Read these off the probabilities; among equally probable classes the answer is the one of the lowest index."""
    predicted_N = p_NK.argmax(axis=1)
    rows_N = np.arange(len(labels_N))
    p_true_N = p_NK[rows_N, labels_N]
    squares_N = np.einsum("nk,nk->n", p_NK, p_NK)  # without a matrix of squares
    return Certainty(
        p_NK[rows_N, predicted_N], predicted_N == labels_N, p_true_N, squares_N - 2 * p_true_N + 1
    )


def calibration_figures(found: Certainty) -> dict[str, float]:
    """nll in nats per image, brier 0..2, and the calibration error 0..1 in both binnings."""
    return {
        "nll": float(-np.log(np.maximum(found.p_true_N, LEAST_P)).mean()),
        "brier": float(found.brier_N.mean()),
        "ece": calibration_error(found, equal_mass(found.confidence_N)),
        f"ece{EQUAL_WIDTH}": calibration_error(found, equal_width(found.confidence_N)),
    }


def calibration_error(found: Certainty, bin_N: Labels) -> float:
    """Mean over the images of |confidence - accuracy| of their bin: ECE (Naeini et al. 2015, AAAI)."""
    gaps = [
        abs(found.confidence_N[rows].mean() - found.correct_N[rows].mean()) * len(rows)
        for rows in _rows_of(bin_N)
    ]
    return float(sum(gaps) / len(bin_N))


def equal_mass(confidence_N: Floats) -> Labels:
    """The bin of each image: 15 of equally many images (Nguyen and O'Connor 2015, arXiv 1508.05154).

    Equal confidences share a bin, that of the first of them: their order says nothing.
    """
    n = len(confidence_N)
    sizes = [len(part) for part in np.array_split(np.arange(n), ECE_BINS)]
    bin_of_rank = np.repeat(np.arange(ECE_BINS), sizes)
    rank_N = np.searchsorted(np.sort(confidence_N), confidence_N, side="left")
    return bin_of_rank[rank_N]


def equal_width(confidence_N: Floats) -> Labels:
    """The bin of each image: [0, 1/15), [1/15, 2/15) ... and 1 by itself, as in torchmetrics 1.9."""
    edges = np.arange(ECE_BINS + 1) / ECE_BINS
    return np.searchsorted(edges, confidence_N, side="right") - 1


def reliability(found: Certainty) -> pd.DataFrame:
    """A row per bin of equally many images: bin, n, confidence (mean), accuracy with _low and _high.

    The curve of DeGroot and Fienberg 1983 (doi 10.2307/2987588), lowest confidence first.
    """
    rows = []
    for number, rows_B in enumerate(_rows_of(equal_mass(found.confidence_N)), start=1):
        right = int(found.correct_N[rows_B].sum())
        rows.append(
            {
                "bin": number,
                "n": len(rows_B),
                "confidence": float(found.confidence_N[rows_B].mean()),
                **share_with_interval("accuracy", right, len(rows_B)),
            }
        )
    return pd.DataFrame(rows)


def _rows_of(bin_N: Labels) -> Iterator[Labels]:
    """The images of each bin that has some, the lowest bin first."""
    order = np.argsort(bin_N, kind="stable")
    _, starts = np.unique(bin_N[order], return_index=True)
    yield from np.split(order, starts[1:])
