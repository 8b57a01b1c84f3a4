"""What became of one model, said from the registry as it is now: a verdict of the past is told as past.

A verdict never changes; what it says of the champion may be untrue a day later, after a rollback for instance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline_lib.registry.records import (
    CHALLENGER,
    CHAMPION,
    KEY,
    MODEL,
    PROMOTED_AT,
    PROMOTED_FOR,
    REGISTERED_AT,
    ROLLED_BACK_AT,
    VERSION,
    Attempt,
    Version,
    day,
    with_alias,
)
from pipeline_lib.registry.verdict import CHALLENGING

Happened = Literal[
    "promote", "waiting", "candidate", "inconclusive", "reject", "current", "unchanged"
]
WAS = {
    "promote": "was promoted",
    "waiting": "passed the gate and was left to a person",
    "candidate": "was registered as challenger",
    "inconclusive": "was held as challenger",
    "reject": "was refused",
    "current": "was the champion",
}


@dataclass(frozen=True)
class Outcome:
    """What this run did with its model, and where that leaves the registry.

    happened: the gate's decision where this run put it into effect, else `unchanged`. version: the model's number, None
    without one. champion: the number in use now, None without one. is_champion: whether these are the model's bytes.
    """

    happened: Happened
    version: int | None
    champion: int | None
    is_champion: bool
    sentence: str


def outcome_of(attempt: Attempt, versions: Sequence[Version], *, is_new: bool) -> Outcome:
    """attempt: the settled question of the model. versions: all there are now. is_new: this run settled it."""
    champion = with_alias(versions, CHAMPION)
    version = _version_of(attempt, versions)
    is_champion = champion is not None and champion.model_md5 == attempt.tags[MODEL]

    # A promotion of this run has no effect where somebody was faster: it is told as past, like any earlier verdict.
    decision = attempt.verdict.decision
    took_effect = is_new and (is_champion or decision not in ("promote", "current"))
    tell = _of_this_run if took_effect else _of_the_past
    sentence = tell(attempt, version, champion)
    return Outcome(
        happened=decision if took_effect else "unchanged",
        version=version.number if version else None,
        champion=champion.number if champion else None,
        is_champion=is_champion,
        sentence=sentence,
    )


def _version_of(attempt: Attempt, versions: Sequence[Version]) -> Version | None:
    """The version made for the attempt's question, else the newest of the same bytes."""
    same_key = [version for version in versions if version.tags[KEY] == attempt.tags[KEY]]
    same_bytes = [version for version in versions if version.model_md5 == attempt.tags[MODEL]]
    return next(iter([*same_key, *same_bytes[::-1]]), None)


def _of_this_run(attempt: Attempt, version: Version | None, champion: Version | None) -> str:
    verdict = attempt.verdict
    if verdict.decision == "current":
        return verdict.sentence
    numbered = f"{verdict.sentence} (version {version.number})" if version else verdict.sentence
    if verdict.decision == "promote":
        return numbered
    return f"{numbered} {_now(champion).capitalize()}.{_how_to_approve(attempt, version)}"


def _of_the_past(attempt: Attempt, version: Version | None, champion: Version | None) -> str:
    """What was decided once, what became of it since, and who is champion now."""
    if version is None:
        decided = f"this model {_decided(attempt)}"
        since = ""
        if VERSION in attempt.tags:
            since = f" as version {attempt.tags[VERSION]}, which was deleted since"
        return f"Nothing new: {decided}{since}; {_now(champion)}.{_grounds(attempt)}"

    promoted_at = day(version.tags.get(PROMOTED_AT) or version.tags.get(REGISTERED_AT))
    if version == champion:
        since = promoted_at.replace(" on ", " since ")
        why = f", by hand: {version.tags[PROMOTED_FOR]}" if PROMOTED_FOR in version.tags else ""
        return f"Nothing new: version {version.number} is champion{since}{why}."

    since = ""
    if version.rolled_back:
        since = f" and rolled back{day(version.tags.get(ROLLED_BACK_AT))} ({version.rolled_back})"
    elif attempt.verdict.decision in CHALLENGING and CHALLENGER not in version.aliases:
        since = ", and another is challenger now"
    if version.was_champion:
        return f"Nothing new: version {version.number} was promoted{promoted_at}{since}; {_now(champion)}."
    decided = f"version {version.number} {_decided(attempt)}"
    said = f"Nothing new: {decided}{since}; {_now(champion)}.{_grounds(attempt)}"
    return f"{said}{_how_to_approve(attempt, version)}"


def _how_to_approve(attempt: Attempt, version: Version | None) -> str:
    """What a person does with a model that waits for them; empty for one that does not, or not any more."""
    if attempt.verdict.decision != "waiting" or not version or CHALLENGER not in version.aliases:
        return ""
    return f" `perennial promote {version.number} --reason TEXT` promotes it."


def _decided(attempt: Attempt) -> str:
    return f"{WAS[attempt.verdict.decision]}{day(attempt.tags.get(REGISTERED_AT))}"


def _grounds(attempt: Attempt) -> str:
    return f' The verdict then: "{attempt.verdict.sentence}"'


def _now(champion: Version | None) -> str:
    return f"champion is version {champion.number}" if champion else "no model is champion"
