"""Uncommitted edits as a commit that touches neither the checkout nor its index nor a branch."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipeline_lib.settings import MACHINE_FILES
from tasks.git import git

# New files count as edits only where the line looks: a folder of pictures beside the code must not end up in git.
NEW_FILES = ("flows", "tasks", "pipeline_lib", "curation", "dvc.lock", "dvc.yaml", "params.yaml")


def uncommitted(checkout: Path) -> list[str]:
    """The files that differ from HEAD or are new, below the checkout; ignored files and results never count.

    Nor do files of the machine: their edits may hold a password, and a snapshot goes out with `git push --tags`.
    """
    others = [f":(exclude,top){name}" for name in MACHINE_FILES]
    changed = git(checkout, "diff", "--name-only", "--no-renames", "HEAD", "--", ":/", *others).splitlines()
    new = git(checkout, "ls-files", "--others", "--exclude-standard", "--", *NEW_FILES).splitlines()
    return sorted({*changed, *new})


def snapshot(checkout: Path, files: list[str]) -> str:
    """Commit the present content of `files` on top of HEAD, through an index of its own; returns the commit."""
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        git(checkout, "read-tree", "HEAD", index=index)
        git(checkout, "add", "--all", "--", *files, index=index)
        tree = git(checkout, "write-tree", index=index)
    return git(checkout, "commit-tree", tree, "-p", "HEAD", "-m", "Uncommitted edits, taken in by a run")
