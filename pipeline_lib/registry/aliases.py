"""Who holds the aliases: who was champion before, who is when the champion is gone, and which version is the reference.

`reference` is the pinned model that no champion may fall far behind (pipeline_lib/register/reference.py). It comes with
the first champion. The gate moves it to what is superior, a person moves it with a reason. Where its version is deleted
or rolled back it goes to the champion: it never stands for a model that was taken back.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from pipeline_lib.errors import UsageError
from pipeline_lib.registry.records import (
    CHAMPION,
    MODEL,
    PREVIOUS,
    REFERENCE,
    REFERENCE_FOR,
    REFERENCE_SINCE,
    REPLACED,
    VERSION,
    Attempt,
    Version,
    now,
    with_alias,
    with_number,
)
from pipeline_lib.registry.tag_records import Turn

if TYPE_CHECKING:
    from pipeline_lib.registry.registry import Registry

log = logging.getLogger(__name__)


def was_deleted(attempt: Attempt, numbers: Collection[int]) -> bool:
    """Whether an attempt's version is no longer in the registry. numbers: of the versions that are."""
    return VERSION in attempt.tags and int(attempt.tags[VERSION]) not in numbers


def taken_back(
    model_md5: str, versions: Sequence[Version], attempts: Sequence[Attempt]
) -> str | None:
    """Why a version with these model bytes was taken back, if one was and there is a champion to compare with."""
    found = [v.rolled_back for v in versions if v.model_md5 == model_md5 and v.rolled_back]
    if found or with_alias(versions, CHAMPION) is None:
        return found[-1] if found else None
    numbers = {version.number for version in versions}
    deleted = [
        attempt.tags[VERSION]
        for attempt in attempts
        if attempt.tags[MODEL] == model_md5 and was_deleted(attempt, numbers)
    ]
    return f"version {deleted[-1]} was deleted from the registry" if deleted else None


def before(version: Version, versions: Sequence[Version]) -> Version | None:
    """The champion before this one that is still there and was not rolled back."""
    seen = {0, version.number}
    number = int(version.tags.get(REPLACED, 0))
    while number not in seen:
        seen.add(number)
        found = with_number(versions, number)
        if found is None:  # it was deleted, and with it what it had replaced
            former = [
                v
                for v in versions
                if v.was_champion and v.rolled_back is None and v.number < version.number
            ]
            return former[-1] if former else None
        if found.rolled_back is None:
            return found
        number = int(found.tags.get(REPLACED, 0))
    return None


def heir(versions: Sequence[Version], turn: Turn | None) -> Version | None:
    """Who should have the alias champion where nobody has: the last champion, else the one before it.

    turn: the newest git tag that set a champion. None where no version was ever champion.
    """
    former = [
        version for version in versions if version.was_champion and version.rolled_back is None
    ]
    last = with_number(former, turn.champion if turn else None)
    previous = with_alias(former, PREVIOUS)
    return last or previous or (former[-1] if former else None)


def no_champion(last: Attempt | None, versions: Sequence[Version], *, uri: str) -> UsageError:
    """Say why there is no champion: nothing was registered, or the last model was refused or held."""
    if last is None:
        remedy = "`dvc repro` or `perennial run` trains, judges and registers one"
        return UsageError("no model was registered yet", file=uri, remedy=remedy)
    remedy = "`perennial report` shows the grounds; "
    if versions:
        remedy += f"`perennial promote {versions[-1].number} --reason TEXT` makes version {versions[-1].number} champion"
    else:
        remedy += "change data or params.yaml and run again; `register.min_top1` is the floor"
    return UsageError(
        "no model was promoted yet", file=uri, value=last.verdict.sentence, remedy=remedy
    )


def check_reason(reason: str) -> None:
    """Raise UsageError where a person gave no reason."""
    if not reason.strip():
        remedy = "say why in words, for those who come after: `--reason 'it took sevens for ones'`"
        raise UsageError("a reason is needed", file="--reason", remedy=remedy)


def set_reference(registry: Registry, number: int, *, reason: str | None = None) -> None:
    """Move the alias; a no-op where it stands there. reason: a person's. Needs the lock.

    Raises UsageError for a version that was rolled back.
    """
    versions = registry.versions()
    version = with_number(versions, number)
    assert version is not None, f"no version {number} to pin"
    if version.rolled_back is not None:
        remedy = f"name another that `perennial versions` lists, or promote version {number} first"
        raise UsageError(
            "this version was rolled back", file=registry.uri, value=str(number), remedy=remedy
        )
    if version == with_alias(versions, REFERENCE):
        return
    # The alias last: a killed move is done again, and its date and reason are overwritten.
    registry.tag(version, {REFERENCE_SINCE: now()})
    if reason is None:
        registry.untag(version, REFERENCE_FOR)
    else:
        registry.tag(version, {REFERENCE_FOR: reason})
    registry.writer().set_alias(REFERENCE, number)


def keep_reference(registry: Registry) -> None:
    """Give the alias to the champion where no version has it, or one that was rolled back. Needs the lock."""
    versions = registry.versions()
    champion, reference = with_alias(versions, CHAMPION), with_alias(versions, REFERENCE)
    if champion is None or (reference is not None and reference.rolled_back is None):
        return
    set_reference(registry, champion.number)
    log.warning(
        "%s: the reference is the champion, version %d, now", _why(reference), champion.number
    )


def _why(reference: Version | None) -> str:
    if reference is None:
        return "no version has the alias reference"
    return f"the reference, version {reference.number}, was rolled back"
