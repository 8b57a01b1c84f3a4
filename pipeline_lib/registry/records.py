"""Versions and attempts as the registry holds them: numbers, aliases and tags, whatever store they were read from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from pipeline_lib.registry.closure import Closure, closure_from_json
from pipeline_lib.registry.verdict import Verdict, verdict_from_json

LIMIT = 7_900  # MLflow cuts a run's tag at 8,000 characters
KEY, RULE, VERDICT, CLOSURE = (
    "perennial.key",
    "perennial.rule",
    "perennial.verdict",
    "perennial.closure",
)
SOURCE, MODEL, COMMIT, DIRTY = (
    "perennial.source",
    "perennial.model_md5",
    "perennial.git_commit",
    "perennial.git_dirty",
)
METRICS, LIBRARIES, DESCRIPTION = (
    "perennial.metrics",
    "perennial.libraries",
    "perennial.description",
)
TRAINED_ON = "perennial.trained_on"
VERSION, REGISTERED_AT = "perennial.version", "perennial.registered_at"
SETTLED_BY = "perennial.settled_by"  # of an attempt: the run that carried it out
RESTORED = "perennial.restored"  # of an attempt: the number that a git tag says its version had
TURN = "perennial.turn"  # of the model: the newest tag of a champion that the registry knows
# What a version becomes after it was registered. Its tag cannot say that; the newest tag of a champion does.
# promoted_at: when it last became champion.
REPLACED, PROMOTED_AT, PROMOTED_FOR = (
    "perennial.replaced",
    "perennial.promoted_at",
    "perennial.promoted_for",
)
ROLLED_BACK, ROLLED_BACK_AT = "perennial.rolled_back", "perennial.rolled_back_at"
ROLLED_BACK_TO = "perennial.rolled_back_to"
# reference_for: a person's reason; absent where the gate, or the registry's own repair, moved the alias.
REFERENCE_SINCE, REFERENCE_FOR = "perennial.reference_since", "perennial.reference_for"
LATER = (
    REPLACED,
    PROMOTED_AT,
    PROMOTED_FOR,
    ROLLED_BACK,
    ROLLED_BACK_AT,
    ROLLED_BACK_TO,
    REFERENCE_SINCE,
    REFERENCE_FOR,
)
CHAMPION, CHALLENGER, PREVIOUS, REFERENCE = "champion", "challenger", "previous", "reference"


@dataclass(frozen=True)
class Attempt:
    """One registration attempt: a MLflow run. open: recorded, but not all of its steps are known to be done."""

    run_id: str
    open: bool
    tags: Mapping[str, str]

    @property
    def verdict(self) -> Verdict:
        """The recorded verdict."""
        return verdict_from_json(self.tags[VERDICT])


@dataclass(frozen=True)
class Version:
    """A registered model version. aliases: any of champion, challenger, previous, reference."""

    name: str
    number: int
    source: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict that made it a version."""
        return verdict_from_json(self.tags[VERDICT])

    @property
    def closure(self) -> Closure:
        """The receipts of everything it was made from."""
        return closure_from_json(self.tags[CLOSURE])

    @property
    def model_md5(self) -> str:
        """DVC's md5 of the export folder, ending in `.dir`."""
        return self.tags[MODEL]

    @property
    def rolled_back(self) -> str | None:
        """Why it was rolled back, if it was and nobody promoted it since."""
        return self.tags.get(ROLLED_BACK)

    @property
    def was_champion(self) -> bool:
        """Whether it was ever promoted, by the gate or by a person."""
        return PROMOTED_AT in self.tags or self.verdict.decision == "promote"

    @property
    def metrics(self) -> dict[str, float]:
        """The test metrics recorded with it."""
        metrics: dict[str, float] = json.loads(self.tags.get(METRICS, "{}"))
        return metrics


def with_alias(versions: Sequence[Version], alias: str) -> Version | None:
    """The version that an alias points to."""
    return next((version for version in versions if alias in version.aliases), None)


def with_number(versions: Sequence[Version], number: int | None) -> Version | None:
    """The version of a number."""
    return next((version for version in versions if version.number == number), None)


def now() -> str:
    """The time, as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def day(when: str | None) -> str:
    """` on 2026-11-30` of an ISO time, empty where it is not known."""
    return f" on {when[:10]}" if when else ""


class Reader(Protocol):
    """The questions everything else is built from."""

    def attempts(self) -> list[Attempt]:
        """All attempts, oldest first."""
        ...

    def versions(self) -> list[Version]:
        """All versions, oldest first, with their aliases."""
        ...

    def turn(self) -> int | None:
        """The newest tag of a champion that the registry knows; None before the first."""
        ...


def split_long(tags: Mapping[str, str]) -> dict[str, str]:
    """Spread values over the limit of a tag into `name.00`, `name.01`, ...; `join_long` is the inverse."""
    parts: dict[str, str] = {}
    for name, value in tags.items():
        if len(value) <= LIMIT:
            parts[name] = value
            continue
        for number, start in enumerate(range(0, len(value), LIMIT)):
            parts[f"{name}.{number:02d}"] = value[start : start + LIMIT]
    return parts


def join_long(tags: Mapping[str, str]) -> dict[str, str]:
    """Put the parts of long values together again."""
    joined: dict[str, str] = {}
    for name in sorted(tags):
        stem, _, end = name.rpartition(".")
        is_part = len(end) == 2 and end.isdigit()
        target = stem if is_part else name
        joined[target] = joined.get(target, "") + tags[name] if is_part else tags[name]
    return joined
