"""The learning rate as a function of the step."""

from __future__ import annotations

import math
from typing import Literal

RISING_SHARE = {"one_cycle": 0.25, "cosine": 0.05}


def learning_rate(step: int, n_steps: int, *, peak: float, schedule: Literal["one_cycle", "cosine"]) -> float:
    """Rise in a line to `peak` over the first share of the steps, then fall along half a cosine towards 0.

    step: 0 .. n_steps - 1; the first step has a rate above 0, so that no step is wasted.
    """
    rising = max(1, round(RISING_SHARE[schedule] * n_steps))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (1 + math.cos(math.pi * (step + 1 - rising) / (n_steps + 1 - rising))) / 2
