"""The learning rate as a function of the step, and what else changes over the epochs."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["one_cycle", "cosine", "linear", "step"]
RISING_SHARE = {"one_cycle": 0.25, "cosine": 0.05, "linear": 0.125, "step": 0.0}
RAMP = (0.7, 0.85)  # while pictures grow: about where ffcv-imagenet's recipes let them grow


def learning_rate(step: int, n_steps: int, *, peak: float, schedule: Schedule, warm_up: float | None = None) -> float:
    """Rise in a line to `peak` over the first share of the steps, then fall: the rate of a step, above 0.

    step: 0 .. n_steps - 1. warm_up: that share, 0..1; None takes the schedule's own. one_cycle and cosine fall along
    half a cosine towards 0, linear in a line towards 0; step falls to a tenth at 50 % and again at 75 % of the steps
    (He et al. 2015, arXiv 1512.03385, section 4.2).
    """
    rising = max(1, round((RISING_SHARE[schedule] if warm_up is None else warm_up) * n_steps))
    if step < rising:
        return peak * (step + 1) / rising
    if schedule == "step":
        return peak * 0.1 ** ((step >= n_steps / 2) + (step >= 3 * n_steps / 4))
    fallen = (step + 1 - rising) / (n_steps + 1 - rising)
    return peak * (1 - fallen) if schedule == "linear" else peak * (1 + math.cos(math.pi * fallen)) / 2


def side_px(epoch: int, n_epochs: int, *, first: int, last: int) -> int:
    """Height and width of the training pictures of an epoch (0-based): from `first` to `last` in steps of 32 pixels.

    Few sizes, so that a compiled step is compiled few times (ffcv-imagenet's rule).
    """
    begin, end = RAMP
    grown = min(max(((epoch + 1) / n_epochs - begin) / (end - begin), 0), 1)
    return last if grown == 1 else min(last, first + 32 * round(grown * (last - first) / 32))


def kept_share(half_life_epochs: float, steps_per_epoch: int) -> float:
    """The share of a moving average that a step keeps, given its half-life in epochs; 0 for a half-life of 0."""
    return float(0.5 ** (1 / (half_life_epochs * steps_per_epoch))) if half_life_epochs else 0.0


def out_of_patience(val_losses: list[float], patience: int) -> bool:
    """Whether the lowest validation loss lies `patience` or more epochs back; 0 is never out of patience."""
    since_best = len(val_losses) - 1 - val_losses.index(min(val_losses)) if val_losses else 0
    return bool(patience) and since_best >= patience


def step_by_time(step: int, n_steps: int, *, spent_s: float, budget_s: float) -> int:
    """How far the schedule is, 0 .. n_steps - 1: by steps or by time, whichever is further. budget_s 0: by steps."""
    by_time = int(n_steps * min(spent_s / budget_s, 1)) if budget_s else 0
    return max(step, min(by_time, n_steps - 1))
