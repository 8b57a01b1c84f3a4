"""Paired statistics of two models on the same N images; b: only the champion is right, c: only the challenger."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from pipeline_lib.paired_change import ONE_SIDED_95, score, score_interval
from pipeline_lib.registry import Comparison

Flags = npt.NDArray[np.bool_]
POWER = 0.8  # a loss is visible when it is noticed this often
HALVINGS = 60  # of an interval of length 1


def compare(
    champion_N: Flags, challenger_N: Flags, *, champion_version: int, smallest_margin: float
) -> Comparison:
    """Bound the difference of top-1 from the images that exactly one of the two gets right."""
    n = len(champion_N)
    b, c = int((champion_N & ~challenger_N).sum()), int((challenger_N & ~champion_N).sum())
    low, high = score_interval(b, c, n)
    return Comparison(
        champion_version=champion_version,
        n_images=n,
        n_only_champion=b,
        n_only_challenger=c,
        champion_top1=float(champion_N.mean()),
        challenger_top1=float(challenger_N.mean()),
        delta=(c - b) / n,
        low=low,
        high=high,
        margin=margin(n, smallest_margin),
    )


def margin(n: int, smallest: float) -> float:
    """The loss of top-1 that still counts as not worse: `smallest`, or more where n images could never decide.

    3 sqrt(0.02 / n) is what equal models with 2 % of images in dispute stay within; 3 / (n + 3) is what two models that
    answer alike on every image can be bounded by (the rule of three: Hanley, Lippman-Hand, JAMA 1983, 249:1743).
    """
    return max(smallest, 3 * math.sqrt(0.02 / n), 3 / (n + 3))


def visible_loss(comparison: Comparison) -> float:
    """The true loss of top-1 that keeps a model from promotion four times in five, at today's share of disputed images.

    By the normal approximation of c - b. benchmarks/whole/gate.py says how often such a loss is noticed in simulations.
    """
    n, allowed = comparison.n_images, comparison.margin
    disputed = (comparison.n_only_champion + comparison.n_only_challenger) / n
    below, above = 0.0, 1.0
    for _ in range(HALVINGS):
        loss = (below + above) / 2
        if _noticed(loss, n, max(disputed, loss), allowed) < POWER:
            below = loss
        else:
            above = loss
    return above


def _noticed(loss: float, n: int, disputed: float, allowed: float) -> float:
    """How often a model with this true loss is not promoted."""
    b, c = n * (disputed + loss) / 2, n * (disputed - loss) / 2
    distance = c - b + n * allowed
    statistic = float(score(b, c, n, -allowed))
    error_at_margin = distance / statistic if statistic else 0.0
    spread = math.sqrt(max(n * (disputed - loss**2), 1e-12))
    return float(ndtr((ONE_SIDED_95 * error_at_margin - distance) / spread))
