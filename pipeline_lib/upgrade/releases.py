"""The releases that `perennial upgrade` knows: `upgrade/releases.toml`, and a folder with the code of each.

A release has a text per stage: what dvc.lock holds of the stage's code. Since there are fingerprints that is the
fingerprint itself; of the releases before, a line per dependency, its md5 and its path. Releases stand in the order of
time; the last, `next`, is the code as it is now. Of each stage a release says whether its bytes are those of the
release before.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_lib.code_fingerprints import FINGERPRINT
from pipeline_lib.errors import ConfigError
from pipeline_lib.harness.line import STAGES

Deps = Mapping[str, str]  # path -> md5
FOLDER, TABLE, NEXT = Path("upgrade"), "releases.toml", "next"
KEPT_STAGES = tuple(
    stage for stage in STAGES if stage not in ("discover", "register")
)  # those two always run
SAME, CHANGED = "same", "changed"


@dataclass(frozen=True)
class Said:
    """The statement of a release about one stage. bytes: same or changed, as against the release before."""

    bytes: str
    why: str


@dataclass(frozen=True)
class Release:
    """One release. code: stage -> text. said: stage -> what is said of it; a stage with the same text may lack."""

    name: str
    commit: str
    code: Mapping[str, str]
    said: Mapping[str, Said]

    def holds(self, stage: str, code: LockedCode) -> bool:
        """Whether this release has the code that a dvc.lock names for a stage."""
        text = self.code[stage]
        return _md5(text) == code.md5 if code.md5 else text == code.text


@dataclass(frozen=True)
class LockedCode:
    """The dependencies on code in one entry of dvc.lock. md5: of the fingerprint, "" in a line from before there were.

    text: the lines of such an older line; of a fingerprint "" until `perennial upgrade` finds it in DVC's cache.
    """

    md5: str
    text: str


def read_releases(root: Path) -> tuple[Release, ...]:
    """The releases, oldest first. Raises ConfigError when the table or a text is missing or wrong."""
    path = root / FOLDER / TABLE
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))["release"]
        return tuple(_release(path.parent, row) for row in rows)
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        remedy = f"bring it back with `git checkout -- {FOLDER}`"
        raise ConfigError(
            "the table of releases cannot be read", file=path, value=error, remedy=remedy
        ) from error


def known_releases(root: Path) -> tuple[Release, ...]:
    """The releases; none where the checkout has no table."""
    return read_releases(root) if (root / FOLDER).is_dir() else ()


def changes_since(
    releases: Sequence[Release], stage: str, code: LockedCode
) -> tuple[str, list[str]] | None:
    """The newest release with this code, and why its bytes are others since; None where no release has the code."""
    known = [number for number, release in enumerate(releases) if release.holds(stage, code)]
    if not known:
        return None
    said = [release.said[stage] for release in releases[known[-1] + 1 :] if stage in release.said]
    return releases[known[-1]].name, [one.why for one in said if one.bytes == CHANGED]


def make_the_same_bytes(stage: str, one: Deps, other: Deps, releases: Sequence[Release]) -> bool:
    """Whether two runs of a stage had the same data and code: equal code, or known to have changed no byte since."""
    data, others = (
        {path: md5 for path, md5 in deps.items() if not is_code(path)} for deps in (one, other)
    )
    if data != others:
        return False
    codes = [
        locked_code([{"path": path, "md5": md5} for path, md5 in deps.items()])
        for deps in (one, other)
    ]
    changes = [changes_since(releases, stage, code) for code in codes]
    return codes[0] == codes[1] or all(change is not None and not change[1] for change in changes)


def is_code(path: str) -> bool:
    """Whether a dependency, as dvc.lock spells its path, is code of ours or a fingerprint of it."""
    return path.startswith("pipeline_lib/") or Path(path).name.startswith(FINGERPRINT)


def locked_code(deps: Sequence[Mapping[str, Any]]) -> LockedCode:
    """The code among the dependencies of one entry of dvc.lock."""
    code = {str(dep["path"]): str(dep["md5"]) for dep in deps if is_code(str(dep["path"]))}
    (first, *others) = code or {"": ""}
    if not others and Path(first).name.startswith(FINGERPRINT):
        return LockedCode(md5=code[first], text="")
    return LockedCode(md5="", text=as_text(code))


def as_text(code: Mapping[str, str]) -> str:
    """path -> md5 as the lines of a release before there were fingerprints."""
    return "".join(f"{md5}  {path}\n" for path, md5 in sorted(code.items()))


def _release(folder: Path, row: Mapping[str, Any]) -> Release:
    name = str(row["name"])
    code = {
        stage: (folder / name / f"{stage}.txt").read_text(encoding="utf-8") for stage in KEPT_STAGES
    }
    said = {
        stage: Said(entry["bytes"], entry["why"]) for stage, entry in row.get("stages", {}).items()
    }
    return Release(name, str(row.get("commit", "")), code, said)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
