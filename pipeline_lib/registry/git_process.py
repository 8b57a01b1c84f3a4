"""Run git as a subprocess, for what the registry mirrors there and what the history is read from."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def git(
    folder: Path,
    *arguments: str,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> str:
    """Run git in a folder; its output without the last line end. DVC runs stages with GIT_* of its own: left out."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(
        command,
        check=check,
        capture_output=True,
        encoding="utf-8",
        env={**clean, **(env or {})},
        input=stdin,
    )
    return done.stdout.strip()


def why(error: Exception) -> str:
    """One line of git's own."""
    if isinstance(error, subprocess.CalledProcessError):
        return " ".join(str(error.stderr).split()) or f"git ended with {error.returncode}"
    return "git is not installed"
