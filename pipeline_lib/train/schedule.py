"""What changes over a training as a function of step, epoch or time: learning rate, image size, average, patience.

Pure functions, without torch: params.yaml is checked with them.
"""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["one_cycle", "cosine", "linear", "step"]
RISING_SHARE = {"one_cycle": 0.25, "cosine": 0.05, "linear": 0.125, "step": 0.0}
RAMP = (
    0.7,
    0.85,
)  # shares of the epochs between which images grow: about those of ffcv-imagenet's recipes
SIZE_STEP_PX = 32


def learning_rate(
    step: int,
    n_steps: int,
    *,
    peak: float,
    schedule: Schedule,
    warm_up: float | None = None,
) -> float:
    """Compute the learning rate of a step, above 0: a rise in a line to `peak`, then the schedule's fall.

    step: 0 .. n_steps - 1. warm_up: share of the steps in which the rate rises, 0..1; None takes the schedule's own.
    one_cycle and cosine fall along half a cosine towards 0, linear in a line towards 0; step falls to a tenth at 50 %
    and again at 75 % of the steps (He et al. 2015, arXiv 1512.03385, section 4.2).
    """
    # The rise takes one step at least, so a schedule of a single step uses the peak.
    rising_share = RISING_SHARE[schedule] if warm_up is None else warm_up
    n_rising = max(1, round(rising_share * n_steps))
    if step < n_rising:
        return peak * (step + 1) / n_rising

    if schedule == "step":
        n_falls = (step >= n_steps / 2) + (step >= 3 * n_steps / 4)
        return peak * 0.1**n_falls

    # The step after the last one would have rate 0.
    fallen = (step + 1 - n_rising) / (n_steps + 1 - n_rising)
    if schedule == "linear":
        return peak * (1 - fallen)
    return peak * (1 + math.cos(math.pi * fallen)) / 2


def side_px(epoch: int, n_epochs: int, *, first: int, last: int) -> int:
    """Height and width of the training images of an epoch (from 0): from `first` to `last` in steps of 32 pixels.

    Few sizes, so that a compiled step is compiled few times (ffcv-imagenet's rule).
    """
    begin, end = RAMP
    progress = ((epoch + 1) / n_epochs - begin) / (end - begin)
    grown = min(max(progress, 0), 1)
    if grown == 1:
        return last
    n_size_steps = round(grown * (last - first) / SIZE_STEP_PX)
    return min(last, first + SIZE_STEP_PX * n_size_steps)


def step_by_time(step: int, n_steps: int, *, spent_s: float, budget_s: float) -> int:
    """How far the schedule is, 0 .. n_steps - 1: by steps or by time, whichever is further. budget_s 0: by steps.

    With a budget the schedule follows the clock, so that the rate has come down when the time is up (budgeted training:
    Li, Yumer, Ramanan 2020, arXiv 1905.04753). Such a run depends on the speed of the machine: it does not repeat to
    the byte, except for the part that a checkpoint holds.
    """
    if budget_s == 0:
        return step
    share_spent = min(spent_s / budget_s, 1)
    by_time = int(n_steps * share_spent)
    return max(step, min(by_time, n_steps - 1))


def ema_decay(half_life_epochs: float, steps_per_epoch: int) -> float:
    """Convert the half-life of the weight average, in epochs, into a decay per step, 0..1; 0 for a half-life of 0."""
    if half_life_epochs == 0:
        return 0.0
    return float(0.5 ** (1 / (half_life_epochs * steps_per_epoch)))


def out_of_patience(val_losses: list[float], patience: int) -> bool:
    """Whether the lowest validation loss is `patience` or more epochs old; patience 0 never runs out."""
    if patience == 0 or not val_losses:
        return False
    best_epoch = val_losses.index(min(val_losses))
    return len(val_losses) - 1 - best_epoch >= patience
