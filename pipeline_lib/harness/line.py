"""The paths of the line's artifacts, read from dvc.yaml, the only file that spells them.

A role is the name of a file without its ending (`manifest` for `line/curate/manifest.parquet`) and is unique over the
whole line. Code asks for roles, never for paths.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_lib.errors import ConfigError
from pipeline_lib.files.yaml_files import read_yaml

LINE = "perennial/line"  # the branch whose first-parent history is the history of results
RUN_TAG = "perennial/run/"  # begins the tag of a run
STAGES = ("discover", "download", "inspect", "curate", "convert", "train", "evaluate", "register")


@dataclass(frozen=True)
class StageFiles:
    """The files that one stage reads and writes, by role."""

    reads: dict[str, Path]
    writes: dict[str, Path]


@dataclass(frozen=True)
class Line:
    """All artifacts of the line below one root folder (a checkout or a workspace)."""

    root: Path
    writes: dict[str, dict[str, Path]]  # stage -> role -> path
    deps: dict[str, tuple[Path, ...]]  # stage -> every dep as dvc.yaml lists it, code and data

    def path(self, role: str) -> Path:
        """Return the path of an artifact, whether or not it exists yet."""
        for outs in self.writes.values():
            if role in outs:
                return outs[role]
        raise AssertionError(f"dvc.yaml has no out whose name is {role!r}")

    def stage_files(self, stage: str) -> StageFiles:
        """Return the files of one stage, without deps that no stage writes: code, curation files and settings."""
        by_path = {path: role for outs in self.writes.values() for role, path in outs.items()}
        reads = {by_path[dep]: dep for dep in self.deps[stage] if dep in by_path}
        for dep in self.deps[stage]:  # a file in a folder that another stage writes
            reads |= {by_path[folder]: folder for folder in dep.parents if folder in by_path}
        return StageFiles(reads=reads, writes=self.writes[stage])


def read_line(root: Path) -> Line:
    """Read dvc.yaml below `root`. Raises ConfigError when a stage is missing or two outs share a role."""
    stages: dict[str, Any] = read_yaml(root / "dvc.yaml").get("stages", {})
    missing = [stage for stage in STAGES if stage not in stages]
    if missing:
        raise ConfigError(
            "stages are missing",
            file=root / "dvc.yaml",
            value=", ".join(missing),
            remedy="restore it from git",
        )
    writes = {stage: _roles(root, stages[stage]) for stage in STAGES}
    deps = {stage: tuple(root / dep for dep in stages[stage].get("deps", ())) for stage in STAGES}
    roles = [role for outs in writes.values() for role in outs]
    twice = sorted({role for role in roles if roles.count(role) > 1})
    if twice:
        raise ConfigError(
            "two outs share a name",
            file=root / "dvc.yaml",
            value=", ".join(twice),
            remedy="rename one",
        )
    return Line(root, writes, deps)


def _roles(root: Path, stage: dict[str, Any]) -> dict[str, Path]:
    """Map role to path for every out, metric and plot of a stage; an entry is a path or {path: options}."""
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, ())]
    paths = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
    return {Path(path).stem: root / path for path in paths}
