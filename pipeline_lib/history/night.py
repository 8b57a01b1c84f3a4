"""One night: what a run did with data and model, as far as it is still known. What is not known is None, and said why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline_lib.registry import Comparison

Outcome = Literal[
    "promote",
    "waiting",
    "candidate",
    "inconclusive",
    "reject",
    "current",
    "unchanged",
    "unknown",
    "failed",
    "skipped",
    "no end",
    "running",
]
WORD: dict[Outcome, str] = {
    "promote": "promoted",
    "waiting": "waits for a person",
    "candidate": "challenger",
    "inconclusive": "held",
    "reject": "refused",
    "current": "champion again",
    "unchanged": "nothing new",
    "unknown": "not on record",
    "failed": "failed",
    "skipped": "skipped",
    "no end": "did not end",
    "running": "running",
}
NO_RESULT: tuple[Outcome, ...] = ("failed", "skipped", "no end", "running")


@dataclass(frozen=True)
class Score:
    """Top-1 on the n test images of that night, with its 95 % interval, 0..1; an end is None where it was not recorded."""

    top1: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Images:
    """How many images were found (None where git no longer knows) and kept."""

    discovered: int | None
    kept: int


@dataclass(frozen=True)
class ChangeCounts:
    """Images added, withdrawn, with other bytes, at another path, with another label; and how many were kept."""

    added: int
    withdrawn: int
    replaced: int
    moved: int
    labels: int
    kept_before: int
    kept_now: int


@dataclass(frozen=True)
class Cost:
    """busy_s: time in which a stage ran. cpu_s: of all processors. gpu_s: time of GPUs times the share they computed.

    price: of the busy time, by the setting price_per_hour; None without one.
    """

    busy_s: float
    cpu_s: float
    gpu_s: float
    price: float | None = None
    currency: str = ""


@dataclass(frozen=True)
class Night:
    """A run, or a registration by `dvc repro`.

    when: its start (by `dvc repro`: when it was judged), ISO 8601 in UTC. run: its name; empty for `dvc repro`. key: of
    its model and evaluation. changes: `key=value` of a candidate. champion: the version in use afterwards, and
    champion_top1, its own top-1 when it was tested. since: `when` of the night that images and labels are compared with.
    report: its first page below the folder of reports, empty without one. unknown: what cannot be told, and why.
    """

    when: str
    run: str
    outcome: Outcome
    sentence: str
    key: str = ""
    version: int | None = None
    aliases: tuple[str, ...] = ()
    candidate: bool = False
    changes: tuple[str, ...] = ()
    commit: str = ""
    score: Score | None = None
    comparison: Comparison | None = None
    champion: int | None = None
    champion_top1: float | None = None
    images: Images | None = None
    since: str = ""
    changed: ChangeCounts | None = None
    cost: Cost | None = None
    report: str = ""
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class History:
    """All nights of one model, oldest first. made: when this was gathered, ISO 8601 in UTC."""

    name: str
    nights: tuple[Night, ...]
    champion: int | None
    made: str
