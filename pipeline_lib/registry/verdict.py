"""What the gate decided about one model, as the registry keeps it and the report shows it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

Decision = Literal["promote", "candidate", "inconclusive", "reject", "current"]
REGISTERED: tuple[Decision, ...] = ("promote", "candidate", "inconclusive")  # the others get no version


@dataclass(frozen=True)
class Rule:
    """One rule of the gate. passed: None when the data at hand cannot tell."""

    name: str
    passed: bool | None
    sentence: str


@dataclass(frozen=True)
class Comparison:
    """Challenger against champion on the same pictures.

    delta, low, high, margin: fractions of top-1; low and high are one-sided 95 % bounds of the difference.
    """

    champion_version: int
    n_images: int
    n_only_champion: int
    n_only_challenger: int
    champion_top1: float
    challenger_top1: float
    delta: float
    low: float
    high: float
    margin: float


@dataclass(frozen=True)
class ClassChange:
    """One class, champion against challenger.

    p_adjusted: one-sided exact McNemar, Holm-adjusted, 0..1. blocks: it stops a promotion.
    """

    name: str
    n_images: int
    n_only_champion: int
    n_only_challenger: int
    p_adjusted: float
    blocks: bool

    @property
    def change(self) -> float:
        """Change of the class's recall, as a fraction; negative is a loss."""
        return (self.n_only_challenger - self.n_only_champion) / self.n_images


@dataclass(frozen=True)
class Verdict:
    """The decision, its one sentence and its grounds.

    provisional: the champion could not be asked, so the next run judges again.
    """

    decision: Decision
    sentence: str
    rules: tuple[Rule, ...]
    comparison: Comparison | None = None
    class_changes: tuple[ClassChange, ...] = ()
    provisional: bool = False

    def as_json(self) -> str:
        """Canonical JSON, the form kept in the registry."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def verdict_from_json(text: str) -> Verdict:
    """The inverse of `Verdict.as_json`."""
    fields: dict[str, Any] = json.loads(text)
    comparison = fields.pop("comparison")
    return Verdict(
        rules=tuple(Rule(**rule) for rule in fields.pop("rules")),
        class_changes=tuple(ClassChange(**change) for change in fields.pop("class_changes")),
        comparison=Comparison(**comparison) if comparison else None,
        **fields,
    )
