"""Commit uncommitted edits without touching the checkout, its index or a branch."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipeline_lib.settings import MACHINE_FILES
from tasks.git import git

# New files count as edits only in the folders of the code: images in other folders must not end up in git.
NEW_FILES = ("flows", "tasks", "pipeline_lib", "curation", "dvc.lock", "dvc.yaml", "params.yaml")


def uncommitted(checkout: Path) -> list[str]:
    """List the files below the checkout that are new or differ from HEAD, except ignored files and results.

    Settings of the machine do not count either: they may hold a password, and `git push --tags` publishes snapshots.
    """
    others = [f":(exclude,top){name}" for name in MACHINE_FILES]
    changed = git(
        checkout, "diff", "--name-only", "--no-renames", "HEAD", "--", ":/", *others
    ).splitlines()
    new = git(checkout, "ls-files", "--others", "--exclude-standard", "--", *NEW_FILES).splitlines()
    return sorted({*changed, *new})


def snapshot(checkout: Path, files: list[str]) -> str:
    """Commit the current content of `files` on top of HEAD, through a separate index; return the commit."""
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        git(checkout, "read-tree", "HEAD", index=index)
        git(checkout, "add", "--all", "--", *files, index=index)
        tree = git(checkout, "write-tree", index=index)
    return git(
        checkout, "commit-tree", tree, "-p", "HEAD", "-m", "Uncommitted edits, included by a run"
    )
