"""The stage `inspect` as a task: decode every picture strictly."""

from __future__ import annotations

from prefect import State, task

from tasks.stage_task import STAGE_TASK, run_stage_task
from tasks.workspace import Workspace


@task(name="inspect", description="decode every picture strictly", **STAGE_TASK)
def inspect(workspace: Workspace) -> State[None]:
    """Bring `inspect` up to date in a workspace."""
    return run_stage_task("inspect", workspace)
