"""Make registry and git tags tell one story: what only the tags know comes in, a lost champion has an heir.

Each function needs the registry's lock, and each step is a no-op when it is already done.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline_lib.registry.aliases import before, heir, keep_reference
from pipeline_lib.registry.git_tags import read_tags
from pipeline_lib.registry.records import (
    CHALLENGER,
    CHAMPION,
    KEY,
    LATER,
    PREVIOUS,
    PROMOTED_AT,
    PROMOTED_FOR,
    REFERENCE,
    RESTORED,
    ROLLED_BACK_TO,
    Version,
    now,
    with_alias,
    with_number,
)
from pipeline_lib.registry.tag_records import Tags, Turn, check_one_story, lost_versions, records_of
from pipeline_lib.registry.verdict import CHALLENGING

if TYPE_CHECKING:
    from pipeline_lib.registry.registry import Registry

log = logging.getLogger(__name__)


def reconcile(registry: Registry) -> None:
    """Make registry and git tags tell one story, and say what had to change. Needs the lock, and no open attempt.

    Raises BadData where the tags tell of other models, or are too old to rebuild a lost registry from.
    """
    assert registry.is_locked, "reconcile() without the lock"
    tags, versions = read_tags(registry.origin, registry.name), registry.versions()
    check_one_story(versions, tags, uri=registry.uri, name=registry.name)
    lost = lost_versions(versions, registry.attempts(), tags)
    records = records_of(lost, tags, uri=registry.uri, name=registry.name)
    for number, record in records.items():
        _restore(registry, number, record)
    finish_rollback(registry)
    if tags.turn and (records or _is_behind(registry, tags.turn)):
        _follow(registry, tags.turn, list(records))
    elif registry.champion() is None:
        _find_champion(registry, tags)
    keep_reference(registry)


def _is_behind(registry: Registry, turn: Turn) -> bool:
    """Whether a champion was set that this registry has not heard of: elsewhere, or before a rebuild was killed."""
    known, numbers = registry.turn(), {None, *(version.number for version in registry.versions())}
    if len(numbers) == 1 or turn.champion not in numbers:  # it was deleted here
        return False
    if known is None:  # a registry that is older than the records in the tags knows no turn either
        return turn.later is not None
    return turn.number > known


def finish_rollback(registry: Registry) -> None:
    """Take the alias from a champion that was rolled back: a rollback is carried out here, also after a kill."""
    versions = registry.versions()
    champion = with_alias(versions, CHAMPION)
    if champion is None or champion.rolled_back is None:
        return
    target = with_number(versions, int(champion.tags.get(ROLLED_BACK_TO, 0))) or before(
        champion, versions
    )
    if target is None:  # it was deleted since
        log.warning("version %d was rolled back, and no earlier champion is left", champion.number)
        return
    _reinstate(registry, target)
    log.info(
        "champion is version %d again; version %d was rolled back", target.number, champion.number
    )


def _reinstate(registry: Registry, version: Version) -> None:
    """Make an earlier champion champion again, from now on, and its own predecessor `previous`."""
    store, versions = registry.writer(), registry.versions()
    earlier = before(version, versions)
    registry.untag(version, PROMOTED_FOR)
    registry.tag(version, {PROMOTED_AT: now()})
    store.set_alias(CHAMPION, version.number)
    if earlier is not None:
        store.set_alias(PREVIOUS, earlier.number)
    elif with_alias(versions, PREVIOUS):
        store.remove_alias(PREVIOUS)


def _restore(registry: Registry, number: int, record: Mapping[str, str]) -> None:
    """Make a version as its git tag has it."""
    registry.writer().open_attempt(
        {**record, RESTORED: str(number)}, f"restored {record[KEY][:12]}"
    )
    registry.settle()


def _follow(registry: Registry, turn: Turn, restored: list[int]) -> None:
    """Set aliases, and what became of the versions, as the newest tag of a champion says."""
    store, later = registry.writer(), turn.later or {}
    for number, tags in later.items():
        version = with_number(registry.versions(), number)
        if version:
            registry.tag(version, tags)
            for outdated in set(LATER) - set(tags):
                registry.untag(version, outdated)
    versions = registry.versions()
    open_ones = [
        v.number for v in versions if v.number not in later and v.verdict.decision in CHALLENGING
    ]
    challenger = open_ones[-1] if open_ones else turn.challenger
    aliases = {
        CHAMPION: turn.champion,
        PREVIOUS: turn.previous,
        CHALLENGER: challenger,
        REFERENCE: turn.reference,
    }
    for alias, wanted in aliases.items():
        if with_number(versions, wanted) and wanted is not None:
            store.set_alias(alias, wanted)
        elif with_alias(versions, alias):
            store.remove_alias(alias)
    store.set_turn(turn.number)
    named = ", ".join(map(str, restored)) or "none"
    said = f"champion is version {turn.champion}" if turn.champion else "no version is champion"
    log.warning(
        "the registry takes from the git tags what it did not know: versions %s; %s", named, said
    )


def _find_champion(registry: Registry, tags: Tags) -> None:
    """Give the alias champion, which nobody has, to the version that should have it; leave it where none was."""
    versions = registry.versions()
    found = heir(versions, tags.turn)
    deleted = (
        tags.turn is not None
        and tags.turn.champion in tags.versions
        and not with_number(versions, tags.turn.champion)
    )
    if found is None:
        if deleted:
            log.warning(
                "the champion was deleted from the registry, and no earlier one is left: there is none"
            )
        return
    _reinstate(registry, found)
    why = (
        "the champion was deleted from the registry"
        if deleted
        else "no version had the alias champion"
    )
    log.warning("%s: version %d is champion again", why, found.number)
