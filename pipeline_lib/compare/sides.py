"""The two sides of a comparison: a registered version, a run, or the last model, with the receipts of its line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.errors import SourceMissing, UsageError
from pipeline_lib.harness.line import RUN_TAG
from pipeline_lib.history.runs import NAME, Run, read_files, read_runs
from pipeline_lib.registry import Attempt, Registry, Version, records
from pipeline_lib.registry.closure import Closure, closure_from_json, closure_in

LAST = "last"


@dataclass(frozen=True)
class Side:
    """One of the two. name: as it is called in sentences. key: of its verdict, empty without one."""

    ref: str
    name: str
    closure: Closure
    version: int | None = None
    key: str = ""
    commit: str = ""
    libraries: Mapping[str, str] | None = None
    trained_on: str = ""


def side_of(ref: str, registry: Registry) -> Side:
    """A version number, an alias, `last`, a run's name or its tag. Raises UsageError for what is none of these."""
    name = ref.removeprefix(RUN_TAG)
    if NAME.fullmatch(name):
        return _of_run(ref, name, registry)
    if ref == LAST:
        return _of_last(registry)
    return _of_version(ref, registry.version(ref))


def files_of(side: Side, roles: Sequence[str], registry: Registry) -> dict[str, Path]:
    """role -> file in DVC's cache. Raises SourceMissing naming all that are absent, and the command that brings them."""
    outs = {role: side.closure.out(role) for role in roles}
    lost = [path for path, md5 in outs.values() if registry.cache.find(md5) is None]
    if lost:
        files = " ".join(lost)
        remedy = f"`dvc fetch --all-tags {files}` brings it from a DVC remote"
        if side.commit:  # DVC asks the remote that a tag's own .dvc/config names
            there = f"git checkout {side.commit[:12]}"
            remedy += f", or, from one that was added later, `{there} && dvc fetch {files}`"
            remedy += f"; without one, `{there} && dvc repro` makes it anew"
        raise SourceMissing(
            f"what {side.name} was made of is no longer in DVC's cache",
            file=registry.cache.folders[0],
            value=", ".join(lost),
            remedy=remedy,
        )
    return {role: registry.cache.object(md5) for role, (_, md5) in outs.items()}


def _of_version(ref: str, version: Version) -> Side:
    aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
    return Side(
        ref,
        f"version {version.number}{aliases}",
        version.closure,
        version=version.number,
        key=version.tags[records.KEY],
        commit=version.tags.get(records.COMMIT, ""),
        libraries=_libraries(version.tags),
        trained_on=version.tags.get(records.TRAINED_ON, ""),
    )


def _of_last(registry: Registry) -> Side:
    from pipeline_lib.register.publish import latest_attempt

    attempt = latest_attempt(registry)
    if attempt is None:
        raise SourceMissing(
            "no model has been evaluated yet",
            file=registry.state_folder / "reports",
            remedy="run `dvc repro` or `perennial run`",
        )
    return _of_attempt(LAST, "the last model", attempt, registry)


def _of_run(ref: str, name: str, registry: Registry) -> Side:
    """A run by its verdict, else by the commit of its result."""
    attempts = registry.attempts()
    own = [one for one in attempts if one.tags.get(records.SETTLED_BY) == name]
    if own:
        return _of_attempt(ref, f"run {name}", own[-1], registry)
    run = next((one for one in read_runs(registry.origin) if one.name == name), None)
    lock = _lock(run, registry) if run else None
    if run is None or lock is None:
        remedy = "`perennial history` lists the runs; a run that failed has nothing to compare"
        raise UsageError("no such run, or it left no result", file=ref, remedy=remedy)
    closure = closure_in(lock, file=f"{run.commit[:12]}:dvc.lock").without("register")
    md5s = closure.md5_of("export"), closure.md5_of("predictions")
    same = [one for one in attempts if _md5s(closure_from_json(one.tags[records.CLOSURE])) == md5s]
    if same:
        return _of_attempt(ref, f"run {name}", same[-1], registry, closure=closure)
    return Side(ref, f"run {name}", closure, commit=run.commit)


def _of_attempt(
    ref: str, name: str, attempt: Attempt, registry: Registry, *, closure: Closure | None = None
) -> Side:
    made = records.with_number(registry.versions(), int(attempt.tags.get(records.VERSION, 0)))
    numbered = f", version {made.number}" if made else ""
    return Side(
        ref,
        f"{name}{numbered}",
        closure or closure_from_json(attempt.tags[records.CLOSURE]),
        version=made.number if made else None,
        key=attempt.tags[records.KEY],
        commit=attempt.tags.get(records.COMMIT, ""),
        libraries=_libraries(attempt.tags),
        trained_on=attempt.tags.get(records.TRAINED_ON, ""),
    )


def _lock(run: Run, registry: Registry) -> str | None:
    name = f"{run.commit}:dvc.lock"
    return read_files(registry.origin, [name]).get(name)


def _md5s(closure: Closure) -> tuple[str, str]:
    return closure.md5_of("export"), closure.md5_of("predictions")


def _libraries(tags: Mapping[str, str]) -> dict[str, str] | None:
    found: dict[str, str] | None = json.loads(tags.get(records.LIBRARIES, "null"))
    return found
