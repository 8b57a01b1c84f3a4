"""Versions and attempts as the registry holds them: numbers, aliases and tags, whatever store they were read from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pipeline_lib.registry.closure import Closure, closure_from_json
from pipeline_lib.registry.verdict import Verdict, verdict_from_json

LIMIT = 7_900  # MLflow cuts a run's tag at 8,000 characters
KEY, RULE, VERDICT, CLOSURE = "perennial.key", "perennial.rule", "perennial.verdict", "perennial.closure"
SOURCE, MODEL, COMMIT, DIRTY = "perennial.source", "perennial.model_md5", "perennial.git_commit", "perennial.git_dirty"
METRICS, LIBRARIES, DESCRIPTION = "perennial.metrics", "perennial.libraries", "perennial.description"
TRAINED_ON = "perennial.trained_on"
REPLACED, ROLLED_BACK, VERSION = "perennial.replaced", "perennial.rolled_back", "perennial.version"


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
    """A registered model version. aliases: champion, challenger, previous, or none."""

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
    def metrics(self) -> dict[str, float]:
        """The test metrics recorded with it."""
        metrics: dict[str, float] = json.loads(self.tags.get(METRICS, "{}"))
        return metrics


class Reader(Protocol):
    """The three questions everything else is built from."""

    def attempts(self) -> list[Attempt]:
        """All attempts, oldest first."""
        ...

    def versions(self) -> list[Version]:
        """All versions, oldest first, with their aliases."""
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
