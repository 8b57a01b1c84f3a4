"""Find the project of a command, and write paths as its params.yaml does."""

from __future__ import annotations

from pathlib import Path

from pipeline_lib.errors import UsageError


def find_project(start: Path) -> Path:
    """Return the nearest folder with a dvc.yaml, from `start` upwards. Raises UsageError."""
    for folder in (start, *start.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise UsageError(
        "not inside a Perennial project",
        file=start,
        remedy="change into the folder that holds dvc.yaml",
    )


def inside(origin: Path, path: str | Path) -> str:
    """Write a path from the command line as in params.yaml: relative to the project if it is inside it."""
    full = Path(path).expanduser().resolve()
    return (
        str(full.relative_to(origin.resolve()))
        if full.is_relative_to(origin.resolve())
        else str(full)
    )
