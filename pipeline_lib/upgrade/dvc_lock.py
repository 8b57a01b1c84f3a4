"""Put today's code into the entries of a dvc.lock, for the stages whose bytes have been the same since they ran."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline_lib.code_fingerprints import FINGERPRINT, differing, fingerprint
from pipeline_lib.errors import BadData
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.harness.line import read_line
from pipeline_lib.registry.dvc_cache import DvcCache
from pipeline_lib.upgrade.releases import (
    KEPT_STAGES,
    LockedCode,
    Release,
    changes_since,
    is_code,
    locked_code,
    read_releases,
)

SHOWN = 3


@dataclass(frozen=True)
class UpgradeStep:
    """The outcome for one stage. since: the release that it ran with. stale: why it will run again, else ""."""

    stage: str
    since: str
    stale: str


@dataclass(frozen=True)
class Today:
    """The checkout as it is now: its releases, dvc.yaml, params.yaml, and the fingerprint of each stage."""

    root: Path
    releases: tuple[Release, ...]
    stages: Mapping[str, Any]
    params: Mapping[str, Any]
    code: Mapping[str, str]


def read_today(root: Path, state_folder: Path) -> Today:
    """Read a checkout. Raises ConfigError if one of its files cannot be read."""
    code = {stage: fingerprint(stage, state_folder) for stage in KEPT_STAGES}
    return Today(
        root,
        read_releases(root),
        read_yaml(root / "dvc.yaml")["stages"],
        read_yaml(root / "params.yaml"),
        code,
    )


def upgrade_lock(
    lock: Any, today: Today, cache: DvcCache, *, leave: Collection[str] = ()
) -> list[UpgradeStep]:
    """Change the content of a dvc.lock in place; returns a step per stage that it holds, in the order of the line.

    leave: stages to leave as they are, whatever their code. Nothing is changed when this raises BadData: a stage ran
    with code of no known release, or would run with such now.
    """
    entries = {
        stage: lock["stages"][stage] for stage in KEPT_STAGES if stage in lock.get("stages", {})
    }
    steps = [
        _step(stage, entry, today, cache, left=stage in leave) for stage, entry in entries.items()
    ]
    for step in steps:
        if not step.stale:
            _carry_over(step.stage, entries[step.stage], today)
    return steps


def carry_over(stage: str, entry: Any, today: Today, cache: DvcCache) -> bool:
    """Put today's code into one entry, in place; False if the result would differ, or if this is unknown."""
    try:
        step = _step(stage, entry, today, cache, left=stage not in KEPT_STAGES)
    except BadData:
        return False
    if not step.stale:
        _carry_over(stage, entry, today)
    return not step.stale


def _step(stage: str, entry: Any, today: Today, cache: DvcCache, *, left: bool) -> UpgradeStep:
    if left:
        return UpgradeStep(stage, "", "left as it is, as you asked")
    *_, newest = today.releases
    if today.code[stage] != newest.code[stage]:
        files = differing(today.code[stage], newest.code[stage])
        remedy = (
            "put your edits aside (`git stash`), run `perennial upgrade` and restore them (`git stash pop`): `dvc repro` then "
            f"runs the stages that they change. Or leave this stage out: `perennial upgrade --leave {stage}`"
        )
        raise BadData(
            f"the code of {stage} is edited here",
            file=files[0],
            value=_named(files[1:]),
            remedy=remedy,
        )
    code = locked_code(entry["deps"])
    known = changes_since(today.releases, stage, code)
    if known is None:
        raise _unknown(stage, code, today.releases, cache)
    since, changes = known
    if not changes and not _is_wired_as_then(entry, stage, today):
        changes = ["it now reads or writes different files"]
    return UpgradeStep(stage, since, "; ".join(changes))


def _unknown(
    stage: str, code: LockedCode, releases: tuple[Release, ...], cache: DvcCache
) -> BadData:
    """The error that names the files by which the code differs from the nearest release."""
    found = cache.find(code.md5) if code.md5 else None
    text = found.read_text(encoding="utf-8") if found else code.text
    nearest = max(reversed(releases), key=lambda release: _in_common(text, release.code[stage]))
    files = differing(text, nearest.code[stage]) if text else [f"{FINGERPRINT}{stage}.txt"]
    remedy = (
        f"`perennial upgrade --leave {stage}` upgrades the other stages, and `dvc repro` then runs {stage} again with "
        "today's code"
    )
    what = f"dvc.lock says that {stage} ran with code of no known release"
    return BadData(what, file=files[0], value=_named(files[1:]), remedy=remedy)


def _in_common(one: str, other: str) -> tuple[int, int]:
    """How many lines two texts share, and how many paths."""
    lines, others = one.splitlines(), other.splitlines()
    paths = [{line.partition("  ")[2] for line in those} for those in (lines, others)]
    return len(set(lines) & set(others)), len(paths[0] & paths[1])


def _named(files: list[str]) -> str:
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return f"also {', '.join(files[:SHOWN])}{more}" if files else ""


def _is_wired_as_then(entry: Any, stage: str, today: Today) -> bool:
    """Whether a stage still reads and writes the same files."""
    line = read_line(today.root)
    wanted = {path.relative_to(today.root).as_posix() for path in line.deps[stage]}
    reads = {dep for dep in wanted if not is_code(dep)}
    writes = {path.relative_to(today.root).as_posix() for path in line.writes[stage].values()}
    then = {dep["path"] for dep in entry["deps"] if not is_code(dep["path"])}
    return reads == then and writes == {out["path"] for out in entry["outs"]}


def _carry_over(stage: str, entry: Any, today: Today) -> None:
    """The entry that a run with today's code would write: its fingerprint, command and params, the same bytes."""
    text = today.code[stage].encode()
    path = f"line/discover/{FINGERPRINT}{stage}.txt"
    md5 = hashlib.md5(text, usedforsecurity=False).hexdigest()
    data = [dep for dep in entry["deps"] if not is_code(dep["path"])]
    own = {"path": path, "hash": "md5", "md5": md5, "size": len(text)}
    entry["cmd"] = today.stages[stage]["cmd"]
    entry["deps"] = sorted([own, *data], key=lambda dep: str(dep["path"]))
    for sections in entry.get("params", {}).values():
        if stage in sections and _mean_the_same(stage, sections[stage], today.params.get(stage)):
            sections[stage] = today.params.get(stage)


def _mean_the_same(stage: str, then: Any, now: Any) -> bool:
    """Whether two sections of params.yaml mean the same to today's stage, for example if a new key has its default."""
    model = import_module(f"pipeline_lib.{stage}.params").PARAMS
    try:
        return bool(model.model_validate(then or {}) == model.model_validate(now or {}))
    except ValidationError:
        return False
