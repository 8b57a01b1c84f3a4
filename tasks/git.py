"""Run git as a subprocess, and turn its errors into one line."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from pipeline_lib.errors import ProgramFailed

# Commits that no person wrote; a fresh machine has no user.name, and git refuses to commit without one.
IDENTITY = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "Perennial"), ("EMAIL", "perennial@localhost"))
}


def git_environment(index: Path | None = None) -> dict[str, str]:
    """Return our environment with a git identity, without variables of another repository's hook (GIT_DIR)."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**inherited, **IDENTITY, **({"GIT_INDEX_FILE": str(index)} if index else {})}


def git(folder: Path, *arguments: str, index: Path | None = None) -> str:
    """Run git in `folder` and return its stdout without the last line break.

    index: an index file to use instead of the checkout's own, whose staged changes so stay untouched.
    Raises ProgramFailed with git's own message.
    """
    done = _run(folder, *arguments, index=index)
    if done.returncode:
        remedy = f"run `git {' '.join(arguments)}` there to see why"
        raise ProgramFailed("git refused", file=folder, value=done.stderr, remedy=remedy)
    return done.stdout.rstrip("\n")


def commit_of(folder: Path, revision: str) -> str | None:
    """Return the full hash of the commit that a revision names, None if there is no such commit."""
    return (
        _run(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").stdout.strip()
        or None
    )


def checked_out(folder: Path) -> str | None:
    """Return the branch that is checked out, None for a detached HEAD or outside a repository."""
    return _run(folder, "symbolic-ref", "--quiet", "--short", "HEAD").stdout.strip() or None


def _run(
    folder: Path, *arguments: str, index: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=git_environment(index),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
