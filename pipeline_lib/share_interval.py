"""The 95 % interval of a share, for figures of evaluation and of groups alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

TWO_SIDED_95 = 1.959963984540054  # the normal distribution's 97.5 % point


@dataclass(frozen=True)
class Interval:
    """Limits of a 95 % interval, 0..1."""

    low: float
    high: float


def wilson(right: int, n: int) -> Interval:
    """The score interval of a share (Wilson 1927, doi 10.1080/01621459.1927.10502953); 0..1 where n is 0."""
    if n == 0:
        return Interval(0.0, 1.0)
    share = right / n
    z2 = TWO_SIDED_95**2
    shrink = 1 + z2 / n
    centre = (share + z2 / (2 * n)) / shrink
    half = TWO_SIDED_95 / shrink * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Interval(max(centre - half, 0.0), min(centre + half, 1.0))
