"""Find the project that a command is meant for."""

from __future__ import annotations

from pathlib import Path

from pipeline_lib.errors import UsageError


def find_project(start: Path) -> Path:
    """The nearest folder with a dvc.yaml, from `start` upwards. Raises UsageError."""
    for folder in (start, *start.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise UsageError("not inside a Perennial project", file=start, remedy="change into the folder that holds dvc.yaml")
