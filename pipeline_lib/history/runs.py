"""The runs that left a result in git: the tags of runs, and the commits of the branch of results.

A run that found nothing to do tags the commit of an earlier one. The tags of old runs go (setting `keep_runs`), the
commits of the branch stay, so that a run may be known by either.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline_lib.harness.line import LINE, RUN_TAG
from pipeline_lib.registry.git_process import git

NAME = re.compile(
    r"(?P<start>\d{8}-\d{6})-(?:t\d+-)?[0-9a-f]{8}"
)  # a trial of a sweep has a number
SUBJECT = re.compile(rf"Run ({NAME.pattern})")
CHANGED = "Changed: "
LOCKED = re.compile(r"^ *- path: (\S+)\n +hash: md5\n +md5: (\S+)$", re.MULTILINE)
SET = re.compile(r"champion is version (\d+)")


@dataclass(frozen=True)
class Run:
    """A run with a result. commit: holds it. made_by: the run whose result it is, itself unless nothing was new.

    parents: of the commit; the last one is the one that `register` saw. changes: `key=value` of a candidate.
    """

    name: str
    commit: str
    made_by: str
    parents: tuple[str, ...]
    ended: str
    on_line: bool
    changes: tuple[str, ...] = ()

    @property
    def started(self) -> str:
        """ISO 8601 in UTC."""
        return started_at(self.name)


@dataclass(frozen=True)
class _Commit:
    hash: str
    parents: tuple[str, ...]
    time: str
    run: str
    changes: tuple[str, ...]


def started_at(name: str) -> str:
    """When a run began, out of its name: ISO 8601 in UTC. Raises ValueError for what is no run's name."""
    found = NAME.fullmatch(name)
    if found is None:
        raise ValueError(name)
    time = datetime.strptime(found["start"], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    return time.isoformat(timespec="seconds")


def read_runs(repository: Path) -> list[Run]:
    """All runs with a result that git knows, oldest first; none where git cannot be asked."""
    try:
        tip = git(repository, "rev-parse", "--verify", "--quiet", f"refs/heads/{LINE}", check=False)
        tags = _tags(repository)
        of_runs = ("--first-parent", "-E", "--grep=^Run [0-9]{8}-")
        line = _commits(repository, [tip] if tip else [], *of_runs)
        tagged = _commits(repository, sorted(set(tags.values())), "--no-walk")
    except (subprocess.CalledProcessError, FileNotFoundError):
        return []
    of_line = {one.run: one for one in reversed(line) if one.run}
    on_line = {one.hash for one in line}
    by_hash = {one.hash: one for one in tagged}
    runs = {name: _run(name, one, on_line) for name, one in of_line.items()}
    for name, commit in tags.items():
        if NAME.fullmatch(name) and commit in by_hash:
            runs[name] = _run(name, by_hash[commit], on_line)
    return sorted(runs.values(), key=lambda one: (one.started, one.name))


def read_files(repository: Path, names: Iterable[str]) -> dict[str, str]:
    """`commit:path` -> text, of those that git still has."""
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return {}
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), "cat-file", "--batch"],
            input="".join(f"{name}\n" for name in wanted).encode(),
            capture_output=True,
            check=True,
        ).stdout
    except (subprocess.CalledProcessError, FileNotFoundError):
        return {}
    found = {}
    at = 0
    for name in wanted:
        end = done.index(b"\n", at)
        head = done[at:end].split()
        at = end + 1
        if len(head) == 3 and head[1] == b"blob":
            size = int(head[2])
            found[name] = done[at : at + size].decode("utf-8", "replace")
            at += size + 1
    return found


def md5s_in_lock(text: str) -> dict[str, str]:
    """path -> md5 of a dvc.lock, without the cost of YAML: DVC writes it, and a thousand nights have one each."""
    return dict(LOCKED.findall(text))


def champion_turns(repository: Path, name: str) -> list[tuple[str, int | None]]:
    """(ISO time, version) of each time that a champion was set, oldest first; None: no champion was left."""
    form = "--format=%(creatordate:iso-strict)%00%(contents:subject)"
    try:
        text = git(repository, "for-each-ref", "--sort=creatordate", form, f"refs/tags/{name}#*")
    except (subprocess.CalledProcessError, FileNotFoundError):
        return []
    turns = []
    for line in text.splitlines():
        time, _, subject = line.partition("\0")
        found = SET.fullmatch(subject)
        if time:
            turns.append((in_utc(time), int(found[1]) if found else None))
    return sorted(turns, key=lambda turn: turn[0])


def in_utc(time: str) -> str:
    """An ISO time with the offset of UTC, to the second."""
    return datetime.fromisoformat(time).astimezone(UTC).isoformat(timespec="seconds")


def _run(name: str, commit: _Commit, on_line: set[str]) -> Run:
    return Run(
        name,
        commit.hash,
        commit.run,
        commit.parents,
        commit.time,
        commit.hash in on_line,
        commit.changes,
    )


def _tags(repository: Path) -> Mapping[str, str]:
    """Run -> commit."""
    form = f"--format=%(refname:strip={2 + RUN_TAG.count('/')})%00%(objectname)"
    lines = git(repository, "for-each-ref", form, f"refs/tags/{RUN_TAG}").splitlines()
    return dict(line.split("\0") for line in lines)


def _commits(repository: Path, revisions: Sequence[str], *options: str) -> list[_Commit]:
    if not revisions:  # git would take HEAD
        return []
    form = "--format=%H%x00%P%x00%cI%x00%B%x01"
    text = git(repository, "log", *options, "--stdin", form, stdin="\n".join(revisions))
    found = []
    for entry in text.split("\1"):
        if not entry.strip():
            continue
        commit, parents, time, body = entry.strip().split("\0")
        subject, *lines = body.splitlines() or [""]
        named = SUBJECT.match(subject)
        changes = tuple(one.removeprefix(CHANGED) for one in lines if one.startswith(CHANGED))
        run = named[1] if named else ""
        found.append(_Commit(commit, tuple(parents.split()), in_utc(time), run, changes))
    return found
