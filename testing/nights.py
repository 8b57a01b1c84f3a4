"""Nights of a tiny line: each in a workspace of its own, registered by the real `register`, kept by the real `keep_result`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_lib.harness import operations
from pipeline_lib.history.runs import started_at
from pipeline_lib.register.run import run as register
from pipeline_lib.tables.manifest import MANIFEST
from tasks.line_branch import commit_for_register, keep_result
from tasks.workspace import Workspace
from testing.tiny_line import TinyLine, make_line, receive

Edit = Callable[[TinyLine], None]


def a_night(
    checkout: Path,
    run: str,
    *,
    edit: Edit | None = None,
    changes: dict[str, Any] | None = None,
    **line: Any,
) -> TinyLine:
    """Run a night. edit: changes its files. changes: of a candidate. line: as `make_line` takes it."""
    state = checkout / ".perennial"
    folder = state / "workspaces" / run
    folder.parent.mkdir(parents=True, exist_ok=True)
    git(checkout, "clone", "-q", "--shared", str(checkout), str(folder))
    (folder / ".dvc").mkdir(exist_ok=True)
    (folder / ".dvc/cache").symlink_to(checkout / ".dvc/cache")
    made = make_line(folder, **line)
    if edit is not None:
        edit(made)
        receive(made)
    workspace = Workspace(
        checkout, state, run, git(checkout, "rev-parse", "HEAD"), changes or {}, ()
    )
    commit_for_register(workspace)
    register(made.job(root=checkout, candidate=workspace.candidate))
    keep_result(workspace)
    start = started_at(run)
    # Two stages side by side, and the last one.
    for stage, offset, wall_s in (
        ("curate", "00", 20.0),
        ("train", "10", 40.0),
        ("register", "55", 1.0),
    ):
        operations.note(
            state,
            stage=stage,
            run=run,
            started=f"{start[:17]}{offset}{start[19:]}",
            wall_s=wall_s,
            cpu_s=30.0,
            ok=True,
        )
    return made


def with_manifest(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Edit:
    """An edit of the manifest alone."""

    def edit(line: TinyLine) -> None:
        MANIFEST.write(change(MANIFEST.read(line.path("manifest"))), line.path("manifest"))

    return edit


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
