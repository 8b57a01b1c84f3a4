"""What the git tags of a registry say: each holds, below its first line, the record that the registry had of it.

`perennial@v0.0.3` holds what a version was registered with; the newest `perennial#champion#5` holds the aliases and
what became of every version since. Together they suffice to build a lost registry again, as in a fresh clone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline_lib.errors import BadData
from pipeline_lib.registry.records import (
    CHALLENGER,
    COMMIT,
    KEY,
    LATER,
    PREVIOUS,
    REFERENCE,
    Attempt,
    Version,
    with_alias,
)

NUMBERED = re.compile(r"@v0\.0\.(?P<number>\d+)(?P<gone>!?)")
SET = re.compile(r"#champion(?P<gone>!?)#(?P<turn>\d+)")
OTHERS = (PREVIOUS, CHALLENGER, REFERENCE)  # the champion stands in the first line
OF_VERSION = re.compile(r"champion is version (?P<number>\d+)")


@dataclass(frozen=True)
class Turn:
    """The time number `number` that a champion was set. champion: its version, None where none was left.

    reference: the champion, where the tag is too old to name one. later: version -> what it became after it was
    registered; None where the tag is too old to say.
    """

    number: int
    champion: int | None
    previous: int | None = None
    challenger: int | None = None
    reference: int | None = None
    later: Mapping[int, Mapping[str, str]] | None = None


@dataclass(frozen=True)
class Tagged:
    """The tag of a version. record: the version's tags in the registry; None where the tag is too old to hold them."""

    commit: str
    record: Mapping[str, str] | None


@dataclass(frozen=True)
class Tags:
    """All tags of one model name. gone: versions that a tag calls deleted. turn: the newest of the champion's."""

    versions: Mapping[int, Tagged]
    gone: frozenset[int] = frozenset()
    turn: Turn | None = None


def read_tag_records(name: str, lines: Sequence[tuple[str, str, str, str]]) -> Tags:
    """lines: tag, commit, first line and body of the message."""
    versions: dict[int, Tagged] = {}
    gone: set[int] = set()
    turns: dict[int, Turn] = {}
    for tag, commit, subject, body in lines:
        rest = tag.removeprefix(name)
        if (found := NUMBERED.fullmatch(rest)) and found["gone"]:
            gone.add(int(found["number"]))
        elif found:
            record = _read(body)
            versions[int(found["number"])] = Tagged(
                commit, record if record and KEY in record else None
            )
        elif found := SET.fullmatch(rest):
            turns[int(found["turn"])] = _read_turn(int(found["turn"]), subject, body)
    return Tags(versions, frozenset(gone), turns[max(turns)] if turns else None)


def version_message(version: Version) -> str:
    """The message of a version's tag."""
    record = {key: value for key, value in version.tags.items() if key not in LATER}
    first = " ".join(f"{version.name} version {version.number}: {version.verdict.sentence}".split())
    return f"{first}\n\n{_write(record)}\n"


def turn_message(versions: Sequence[Version], champion: Version | None) -> str:
    """The message of a tag that sets the champion, or says that there is none."""
    first = f"champion is version {champion.number}" if champion else "no version is champion"
    later = {v.number: {key: v.tags[key] for key in LATER if key in v.tags} for v in versions}
    aliases = {alias: found.number for alias in OTHERS if (found := with_alias(versions, alias))}
    return f"{first}\n\n{_write({**aliases, 'later': later})}\n"


def check_one_story(versions: Sequence[Version], tags: Tags, *, uri: str, name: str) -> None:
    """Raise BadData where a version number stands for one model in the registry and for another in git."""
    other = [
        v
        for v in versions
        if v.number in tags.versions and not _same(tags.versions[v.number], v.tags)
    ]
    if other:
        tag = f"{name}@v0.0.{other[0].number}"
        remedy = (
            f"move the registry away, and the next run rebuilds it from the tags; or, where the registry is right, "
            f"`git tag -d $(git tag -l '{name}@*' '{name}#champion*')`"
        )
        raise BadData(
            "the git tag of that name stands for another model", file=uri, value=tag, remedy=remedy
        )


def lost_versions(
    versions: Sequence[Version], attempts: Sequence[Attempt], tags: Tags
) -> list[int]:
    """The versions that tags name and the registry has never seen, oldest first.

    A version that the registry once made and has no longer was deleted there, and is not lost.
    """
    newest = max((version.number for version in versions), default=0)
    made = {attempt.tags[KEY] for attempt in attempts}
    unknown = {
        n: tagged for n, tagged in tags.versions.items() if n > newest and n not in tags.gone
    }
    return sorted(
        n
        for n, tagged in unknown.items()
        if tagged.record is None or tagged.record[KEY] not in made
    )


def records_of(
    lost: Sequence[int], tags: Tags, *, uri: str, name: str
) -> dict[int, Mapping[str, str]]:
    """version -> its record. Raises BadData where the tag of the champion, or every tag, is too old to hold one."""
    records = {n: record for n in lost if (record := tags.versions[n].record) is not None}
    champion = tags.turn.champion if tags.turn else None
    if lost and (not records or (champion in lost and champion not in records)):
        remedy = (
            "copy that file from the checkout that made the tags; or, to begin anew, "
            f"`git tag -d $(git tag -l '{name}@*' '{name}#champion*')`"
        )
        what = "git tags name versions that this registry does not have, and are too old to hold their records"
        raise BadData(what, file=uri, value=f"{name}@v0.0.{lost[-1]}", remedy=remedy)
    return records


def _same(tagged: Tagged, tags: Mapping[str, str]) -> bool:
    if tagged.record is not None:
        return tagged.record[KEY] == tags[KEY]
    return tags.get(COMMIT) in (None, tagged.commit)


def _read_turn(number: int, subject: str, body: str) -> Turn:
    found, state = OF_VERSION.fullmatch(subject), _read(body) or {}
    later = {int(n): tags for n, tags in state["later"].items()} if "later" in state else None
    champion = int(found["number"]) if found else None
    reference = state.get(REFERENCE, champion)
    return Turn(number, champion, state.get(PREVIOUS), state.get(CHALLENGER), reference, later)


def _write(record: Mapping[str, object]) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"))


def _read(body: str) -> dict | None:  # type: ignore[type-arg] # JSON
    """The record in a message's body; None where the tag was made by an older version of this code, or by people."""
    try:
        found = json.loads(body)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
