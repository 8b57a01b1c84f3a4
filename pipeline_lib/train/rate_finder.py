"""Which learning rate to begin with: raise it from step to step and watch the loss (Smith 2015, arXiv 1506.01186)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline_lib.loader import Batch
from pipeline_lib.train.learner import Learner

LOWEST, HIGHEST, STEPS = 1e-5, 10.0, 100
KEPT = 0.9  # of the smoothed loss, per step
TOO_HIGH = 4.0  # times the lowest smoothed loss: the end


@dataclass(frozen=True)
class Tried:
    """A rate, and the smoothed training loss after a step at it, nats."""

    rate: float
    loss: float


def try_rates(learner: Learner, batches: Iterable[Batch]) -> list[Tried]:
    """One step at each of up to 100 rates from 1e-5 to 10, in a geometric line, until the loss runs away."""
    tried: list[Tried] = []
    mean = 0.0
    learner.begin_epoch()
    for step, batch in zip(range(STEPS), batches, strict=False):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))
        loss = float(learner.update(batch, rate=rate))
        mean = KEPT * mean + (1 - KEPT) * loss
        smoothed = mean / (1 - KEPT ** (step + 1))
        if not math.isfinite(smoothed) or (tried and smoothed > TOO_HIGH * min(found.loss for found in tried)):
            break
        tried.append(Tried(rate, smoothed))
    return tried


def peak_rate(tried: list[Tried]) -> float:
    """A tenth of the rate at which the loss was lowest, to two digits: the careful end of what trains."""
    lowest = min(tried, key=lambda found: found.loss)
    return float(f"{lowest.rate / 10:.2g}")
