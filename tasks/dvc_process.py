"""Bring one DVC stage up to date in a subprocess, so that its GPU memory is freed and a crash kills no flow."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from pipeline_lib.errors import Interrupted
from pipeline_lib.harness.stage import REASONS
from tasks.dvc_config import SITE_CACHE
from tasks.dvc_outcome import StageOutcome, failure_of, plain, stage_outcome
from tasks.process_group import STOPPING, started
from tasks.workspace import Workspace

LINES_KEPT = 100
_counting = threading.Lock()
_at_work: dict[Path, int] = {}  # workspace -> dvc processes of ours


def bring_up_to_date(
    stage: str, workspace: Workspace, *, on_line: Callable[[str], None]
) -> StageOutcome:
    """Run `dvc repro --single-item STAGE` in a workspace, giving each line to `on_line`.

    Raises the PipelineError that the stage left as its reason, StageDied when a signal ended it.
    """
    outcomes: list[StageOutcome] = []

    def read(line: str) -> None:
        if outcome := stage_outcome(line):
            outcomes.append(outcome)
        on_line(line)

    run_dvc(["repro", "--single-item", stage], workspace, name=stage, on_line=read)
    assert outcomes, f"dvc said nothing that we know about {stage}"
    return outcomes[-1]


def run_dvc(
    arguments: list[str], workspace: Workspace, *, name: str, on_line: Callable[[str], None]
) -> None:
    """Run a dvc command in a workspace; `name` identifies it in the record and in errors.

    Raises the PipelineError that its stage left, StageDied, Interrupted, or ProgramFailed with dvc's last error.
    """
    reason = workspace.folder / REASONS / f"{name}.json"
    reason.unlink(missing_ok=True)
    # Always waiting for the lock: two commands at once in one workspace fail without it.
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    last = deque[str](maxlen=LINES_KEPT)
    _enter(workspace.folder)
    try:
        record = workspace.records / f"{name}.json"
        with started(
            command, cwd=workspace.folder, environment=child_environment(workspace), record=record
        ) as dvc:
            assert dvc.stdout is not None
            for raw in dvc.stdout:
                last.append(plain(raw))
                on_line(last[-1])
    finally:
        _leave(workspace.folder)
    if STOPPING.is_set():
        raise Interrupted(
            "the run was stopped", file=name, remedy="run again; finished work is kept"
        )
    if dvc.returncode:
        raise failure_of(name, last, exit_code=dvc.returncode, reason=reason)


def child_environment(workspace: Workspace) -> dict[str, str]:
    """Return the environment of dvc and its stage: this Python first on the path, and the settings of the run."""
    environment = {**os.environ, **workspace.settings()}
    environment["PATH"] = (
        f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    )
    environment["PERENNIAL_SUPERVISOR_PID"] = str(os.getpid())
    environment.setdefault(
        "PERENNIAL_PROGRESS_EVERY_S", "1"
    )  # shown as an artifact, not as lines of the log
    environment["DVC_SITE_CACHE_DIR"] = str(workspace.folder / SITE_CACHE)
    environment["DVC_NO_ANALYTICS"] = "1"
    environment.pop("DVC_ROOT", None)
    return environment


def _enter(folder: Path) -> None:
    """Count a dvc process in a workspace, after removing the read-write lock of a killed one if it is the first.

    A lock entry whose pid now belongs to another process would block without end, also with `--wait-for-lock`.
    """
    with _counting:
        if not _at_work.get(folder):
            (folder / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)
        _at_work[folder] = _at_work.get(folder, 0) + 1


def _leave(folder: Path) -> None:
    with _counting:
        _at_work[folder] -= 1
