"""Training for a given time: the schedule follows the clock, so that the rate has come down when the time is up.

Budgeted training (Li, Yumer, Ramanan 2020, arXiv 1905.04753). What is trained then depends on how fast the machine is:
such a run is not reproducible to the byte, but for the part that a checkpoint holds.
"""

from __future__ import annotations

from time import monotonic as now

from pipeline_lib.train.ranks import of_rank_0


class Stopwatch:
    """Seconds that training itself took, those of rank 0 in every process. Stands still until `restart`."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Leave out what was done since the last lap: saving, validating."""
        self.last = now()

    def lap(self) -> float:
        """Seconds since the last one."""
        began, self.last = self.last, now()
        return of_rank_0(self.last - began)


def step_by_time(step: int, n_steps: int, *, spent_s: float, budget_s: float) -> int:
    """How far the schedule is, 0 .. n_steps - 1: by steps or by time, whichever is further. budget_s 0: by steps."""
    by_time = int(n_steps * min(spent_s / budget_s, 1)) if budget_s else 0
    return max(step, min(by_time, n_steps - 1))
