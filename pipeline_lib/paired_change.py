"""The change of a share between two sets of answers to the same images, with its interval.

Tango's statistic and interval: T. Tango, "Equivalence test and confidence interval for the difference in proportions for
the paired-sample design", Statistics in Medicine 1998, 17:891-908. Of n images, b: only the first answer is right, c: only
the second one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ONE_SIDED_95 = 1.6448536269514722  # the normal distribution's 95 % point: one-sided bounds
HALVINGS = 60  # of an interval of length 2: to 2e-18


def score_interval(b: int, c: int, n: int, *, z: float = ONE_SIDED_95) -> tuple[float, float]:
    """The interval of (c - b) / n, each end at z standard deviations."""
    return _crossing(b, c, n, z), _crossing(b, c, n, -z)


def score(b: npt.ArrayLike, c: npt.ArrayLike, n: int, change: float) -> npt.NDArray[np.float64]:
    """How many standard deviations (c - b) / n lies above a true `change`, -1..1.

    b, c: counts, any shape. The share of images that only the first answer gets right is estimated under that change.
    """
    b, c = np.asarray(b, float), np.asarray(c, float)
    linear = (2 * n - (c - b)) * change - (b + c)
    constant = -b * change * (1 - change)
    only_first = (np.sqrt(np.maximum(linear**2 - 8 * n * constant, 0)) - linear) / (4 * n)
    variance = n * np.maximum(2 * only_first + change * (1 - change), 0)
    distance = c - b - n * change
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(distance == 0, 0.0, distance / np.sqrt(variance))


def _crossing(b: int, c: int, n: int, z: float) -> float:
    """The change at which the statistic, which falls with the change, is z."""
    below, above = -1.0, 1.0
    for _ in range(HALVINGS):
        middle = (below + above) / 2
        if score(b, c, n, middle) > z:
            below = middle
        else:
            above = middle
    return (below + above) / 2
