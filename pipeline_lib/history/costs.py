"""What a night cost, out of operations.jsonl: the time of its stages, and the CPU and GPU time in it.

A line names its run. Lines of `dvc repro` name none, and so do those from before runs were named: of these, all since the
last `register` belong to the next one, so that a night also bears the tries that failed before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipeline_lib.harness.operations import FLOW
from pipeline_lib.history.night import Cost

TRIAL = re.compile(r"-t\d+-")
SLACK_S = 2.0  # times are written to the second
Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Operations:
    """Lines by run, trials of a sweep under the sweep; lines without a run in groups that each end in a `register`.

    ends: run -> the line about a run that failed or was skipped.
    """

    of_run: Mapping[str, Sequence[Entry]]
    groups: tuple[Sequence[Entry], ...]
    ends: Mapping[str, Entry]


def sort_operations(entries: Iterable[Entry]) -> Operations:
    """Assign lines to runs."""
    of_run: dict[str, list[Entry]] = {}
    groups: list[list[Entry]] = []
    ends: dict[str, Entry] = {}
    open_group: list[Entry] = []
    for entry in entries:
        run = str(entry.get("run") or "")
        if entry["stage"] == FLOW:
            ends[run] = entry
        elif run:
            of_run.setdefault(of_sweep(run), []).append(entry)
        else:
            open_group.append(entry)
            if entry["stage"] == "register" and entry.get("ok"):
                groups.append(open_group)
                open_group = []
    return Operations(of_run, tuple(groups), ends)


def of_sweep(run: str) -> str:
    """The run of a trial; any other run is its own."""
    return TRIAL.sub("-", run, count=1)


def group_between(operations: Operations, start: str, end: str) -> Sequence[Entry]:
    """The lines without a run whose `register` began in this time; none where two did. start, end: ISO 8601."""
    first, last = datetime.fromisoformat(start), datetime.fromisoformat(end)
    found = [group for group in operations.groups if first <= _start(group[-1]) <= last]
    return found[0] if len(found) == 1 else ()


def group_of_verdict(operations: Operations, judged: str) -> Sequence[Entry]:
    """The lines without a run whose `register` was running at this time."""
    at = datetime.fromisoformat(judged)
    slack = timedelta(seconds=SLACK_S)
    for group in operations.groups:
        if _start(group[-1]) - slack <= at <= _end(group[-1]) + slack:
            return group
    return ()


def cost_of(entries: Sequence[Entry], price_per_hour: str | None) -> Cost | None:
    """The cost of stages; None without any. price_per_hour: such as `1.20 EUR`."""
    if not entries:
        return None
    busy_s = _covered_s([(_start(entry), _end(entry)) for entry in entries])
    price, _, currency = (price_per_hour or "").partition(" ")
    return Cost(
        busy_s=round(busy_s, 1),
        cpu_s=round(sum(float(entry.get("cpu_s", 0)) for entry in entries), 1),
        gpu_s=round(sum(_gpu_s(entry) for entry in entries), 1),
        price=round(float(price) * busy_s / 3600, 4) if price else None,
        currency=currency,
    )


def _covered_s(spans: Iterable[tuple[datetime, datetime]]) -> float:
    """Seconds in which any of the stages ran: two of them run side by side, and between two runs nothing does."""
    covered = 0.0
    until: datetime | None = None
    for start, end in sorted(spans):
        begin = start if until is None else max(start, until)
        if end > begin:
            covered += (end - begin).total_seconds()
        until = end if until is None else max(end, until)
    return covered


def _gpu_s(entry: Entry) -> float:
    percent = sum(float(gpu.get("used_percent", 0)) for gpu in entry.get("gpus", ()))
    return float(entry.get("wall_s", 0)) * percent / 100


def _start(entry: Entry) -> datetime:
    return datetime.fromisoformat(str(entry["started"]))


def _end(entry: Entry) -> datetime:
    return _start(entry) + timedelta(seconds=float(entry.get("wall_s", 0)))
