"""Git as a subprocess, with its refusals turned into one line."""

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
    """Our environment with an identity, and without what a hook of another repository may have put there (GIT_DIR)."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**inherited, **IDENTITY, **({"GIT_INDEX_FILE": str(index)} if index else {})}


def git(folder: Path, *arguments: str, index: Path | None = None) -> str:
    """Run git in `folder` and return its stdout without the last line break.

    index: an index file to use instead of the checkout's own, so that what is staged there stays as it is.
    Raises ProgramFailed with git's own words.
    """
    command = ["git", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=git_environment(index), capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        remedy = f"run `git {' '.join(arguments)}` there yourself to see why"
        raise ProgramFailed("git refused", file=folder, value=done.stderr, remedy=remedy)
    return done.stdout.rstrip("\n")


def commit_of(folder: Path, revision: str) -> str | None:
    """The full hash of the commit that a revision names; None when there is none of that name."""
    command = ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    done = subprocess.run(
        command, cwd=folder, env=git_environment(), capture_output=True, encoding="utf-8", check=False
    )
    return done.stdout.strip() or None


def checked_out(folder: Path) -> str | None:
    """The branch that is checked out; None for a detached HEAD, or where there is no repository."""
    command = ["git", "symbolic-ref", "--quiet", "--short", "HEAD"]
    done = subprocess.run(
        command, cwd=folder, env=git_environment(), capture_output=True, encoding="utf-8", check=False
    )
    return done.stdout.strip() or None
