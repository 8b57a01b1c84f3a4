"""Of labels with a probability to be wrong, how many are: the rows of a reliability curve (Niculescu-Mizil, Caruana 2005)."""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.results_file import Row, row

EDGES: Final = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 1.0)
SAID, FOUND, COUNT = "probability", "wrong", "labels"


def reliability_rows(
    case: str, scores: list[NDArray[np.float64]], wrong: list[NDArray[np.bool_]]
) -> list[Row]:
    """Of each bin of probabilities: their mean, the share of wrong labels, and how many labels, all draws together."""
    said, found = np.concatenate(scores), np.concatenate(wrong)
    rows = []
    for least, most in itertools.pairwise(EDGES):
        inside = (said >= least) & ((said < most) | (most == 1.0))
        if not inside.any():
            continue
        name = f"{least:g} to {most:g}"
        rows.append(row(f"{case}, {name}", SAID, "share", [float(said[inside].mean())]))
        rows.append(row(f"{case}, {name}", FOUND, "share", [float(found[inside].mean())]))
        rows.append(row(f"{case}, {name}", COUNT, "labels", [int(inside.sum())]))
    return rows
