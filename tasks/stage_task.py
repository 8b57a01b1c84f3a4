"""Shared by the eight stage tasks: retries, live log, progress, and a final state named after the outcome."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from prefect import State, get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

from pipeline_lib.errors import PipelineError, StageDied
from tasks.dvc_outcome import Progress, StageOutcome, progress_of
from tasks.dvc_process import bring_up_to_date
from tasks.process_group import STOPPING
from tasks.workspace import Workspace

SAYING = {
    StageOutcome.RAN: "ran",
    StageOutcome.FROM_CACHE: "done before: restored from the cache",
    StageOutcome.ALREADY_CURRENT: "already up to date",
}
SHOW_EVERY_S = 1.0
LOG_EVERY_S = 30.0
# dvc's advice on what to do next, which the run does by itself
ADVICE = (
    "To track the changes",
    "git add ",
    "To enable auto staging",
    "dvc config core.autostage",
    "Use `dvc push`",
)


def _died(task: Any, run: Any, state: State[Any]) -> bool:
    """Whether to retry a stage: a signal ended it, and nobody stopped the run."""
    return isinstance(state.data, StageDied) and not STOPPING.is_set()


def stage_options(stage: str, description: str) -> dict[str, Any]:
    """Return the options of a stage's `@task`.

    DVC alone decides what is stale: a second cache in Prefect would answer "why did it not run?" differently.
    """
    return {
        "name": stage,
        "task_run_name": stage,
        "description": description,
        "retries": 2,
        "retry_delay_seconds": 1,
        "retry_condition_fn": _died,
        "cache_policy": NO_CACHE,
        "persist_result": False,
    }


def run_stage_task(stage: str, workspace: Workspace) -> State[None]:
    """Bring a stage up to date inside a task run; the state is named Ran, FromCache or AlreadyCurrent.

    A failed stage gives Failed with its one-line reason; a stage ended by a signal raises StageDied, to be retried.
    """
    artifact = _ProgressArtifact(stage)
    try:
        outcome = bring_up_to_date(stage, workspace, on_line=_listener(artifact))
    except StageDied:
        raise
    except PipelineError as error:
        return Failed(message=str(error), data=error)
    artifact.finish()
    return Completed(name=outcome.value, message=SAYING[outcome])


def _listener(artifact: _ProgressArtifact) -> Callable[[str], None]:
    """Return a callback that logs each line; progress goes to an artifact once a second, to the log every 30 s."""
    log, logged = get_run_logger(), 0.0

    def read(line: str) -> None:
        nonlocal logged
        if progress := progress_of(line):
            artifact.show(progress)
            if time.monotonic() - logged < LOG_EVERY_S:
                return
            logged = time.monotonic()
        if line and not line.lstrip().startswith(ADVICE):
            log.info(line)

    return read


class _ProgressArtifact:
    """The progress bar of one stage in the UI, created at the first progress line."""

    def __init__(self, stage: str) -> None:
        self.stage, self.shown = stage, 0.0
        self.id: UUID | None = None
        self.last: Progress | None = None

    def show(self, progress: Progress) -> None:
        now, self.last = time.monotonic(), progress
        if now - self.shown < SHOW_EVERY_S and progress.percent < 100:
            return
        self.shown = now
        text = f"{progress.what}: {progress.rest}"
        if self.id is None:
            made = create_progress_artifact(
                progress.percent, key=f"{self.stage}-progress", description=text
            )
            self.id = made if isinstance(made, UUID) else None
        else:
            update_progress_artifact(self.id, progress=progress.percent, description=text)

    def finish(self) -> None:
        """End at 100 %: the last report of a stage may be earlier, and training may stop early."""
        if self.id is not None and self.last is not None and self.last.percent < 100:
            update_progress_artifact(self.id, progress=100.0, description=f"{self.last.what}: done")
