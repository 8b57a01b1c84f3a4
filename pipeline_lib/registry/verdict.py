"""What the gate decided about one model, as the registry keeps it and the report shows it."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple, dataclass, fields
from enum import StrEnum
from typing import Any, Literal

Decision = Literal["promote", "waiting", "candidate", "inconclusive", "reject", "current"]
CHALLENGING: tuple[Decision, ...] = ("waiting", "candidate", "inconclusive")
REGISTERED: tuple[Decision, ...] = ("promote", *CHALLENGING)  # the others get no version


class RuleName(StrEnum):
    """The rules of the gate, in the order in which they are asked; docs/gate.md says what each asks."""

    NEW_MODEL = "a new model"
    EVERY_IMAGE_ONCE = "every test image once"
    UNSEEN_IMAGES = "tested on unseen images"
    FLOOR = "better than the floor"
    EXPORT_EQUALS_NETWORK = "export equals the network"
    NOT_ROLLED_BACK = "not rolled back"
    AS_GOOD = "as good as the champion"
    NO_CLASS_LOST = "no class lost"
    BETTER_THAN_TWIN = "better where only the seed changed"
    NO_SHIFT_LOST = "no shifted test set lost"
    NEAR_REFERENCE = "near the reference"


@dataclass(frozen=True)
class Rule:
    """One rule of the gate, as it went. name: a RuleName; verdicts of the past may hold others.

    passed: None when the data cannot tell.
    """

    name: str
    passed: bool | None
    sentence: str


@dataclass(frozen=True)
class Comparison:
    """Challenger against champion on the same images.

    n_images: test images of the classes that both know. delta, low, high, margin: fractions of top-1; delta is
    observed, low and high are one-sided 95 % bounds of the true difference.
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

    p_adjusted: one-sided exact McNemar, Holm-adjusted, 0..1. blocks: it refuses the model. n_champion: images the
    champion has right (None in verdicts older than the count). falls: it holds the model. hidden: so few are right
    that even the loss of all of them would look like chance.
    """

    name: str
    n_images: int
    n_only_champion: int
    n_only_challenger: int
    p_adjusted: float
    blocks: bool
    n_champion: int | None = None
    falls: bool = False
    hidden: bool = False

    @property
    def change(self) -> float:
        """Change of the class's recall, as a fraction; negative is a loss."""
        return (self.n_only_challenger - self.n_only_champion) / self.n_images

    @property
    def n_challenger(self) -> int | None:
        """Images the challenger has right."""
        return (
            None
            if self.n_champion is None
            else self.n_champion + self.n_only_challenger - self.n_only_champion
        )


@dataclass(frozen=True)
class ShiftChange:
    """A kind of corruption in all its strengths, or an extra test set, champion against challenger.

    name: `corrupted/<kind>` or `extra/<source>`. n_images: those of classes that both know. champion_top1,
    challenger_top1: shares of right answers, 0..1. p_adjusted: one-sided, Holm-adjusted, 0..1. holds: it holds the model.
    strengths: of a corruption, those that the champion withstands; the others are left out.
    """

    name: str
    n_images: int
    champion_top1: float
    challenger_top1: float
    p_adjusted: float
    holds: bool
    strengths: tuple[int, ...] = ()

    @property
    def change(self) -> float:
        """Change of accuracy, as a fraction; negative is a loss."""
        return self.challenger_top1 - self.champion_top1


@dataclass(frozen=True)
class Verdict:
    """The decision, its one sentence and its grounds.

    provisional: the champion could not be asked, so the next run judges again. notes: what no rule decides but a reader
    must know: classes left out of the comparison, and what these test images cannot show. becomes_reference: whether
    the pinned reference moves to this model. shift_changes: of every shifted test set that was compared.
    """

    decision: Decision
    sentence: str
    rules: tuple[Rule, ...]
    comparison: Comparison | None = None
    class_changes: tuple[ClassChange, ...] = ()
    provisional: bool = False
    notes: tuple[str, ...] = ()
    becomes_reference: bool = False
    shift_changes: tuple[ShiftChange, ...] = ()

    def as_json(self) -> str:
        """Canonical JSON, the form kept in the registry; a class is a list of its fields, as there may be thousands."""
        content = asdict(self) | {
            "class_changes": [astuple(change) for change in self.class_changes]
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":"))


def verdict_from_json(text: str) -> Verdict:
    """The inverse of `Verdict.as_json`; also reads verdicts from before notes, whose classes are objects.

    What a later release added beside these is left out: registries and git tags outlive a checkout of an earlier commit.
    """
    known = {field.name for field in fields(Verdict)}
    told: dict[str, Any] = json.loads(text)
    kept = {name: value for name, value in told.items() if name in known}
    comparison = kept.pop("comparison")
    classes = kept.pop("class_changes")
    return Verdict(
        rules=tuple(Rule(**rule) for rule in kept.pop("rules")),
        class_changes=tuple(
            ClassChange(**one) if isinstance(one, dict) else ClassChange(*one) for one in classes
        ),
        comparison=Comparison(**comparison) if comparison else None,
        notes=tuple(kept.pop("notes", ())),
        shift_changes=tuple(
            ShiftChange(**one | {"strengths": tuple(one["strengths"])})
            for one in kept.pop("shift_changes", ())
        ),
        **kept,
    )
