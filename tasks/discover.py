"""The stage `discover` as a task: list every object of the sources."""

from __future__ import annotations

from prefect import State, task

from tasks.stage_task import STAGE_TASK, run_stage_task
from tasks.workspace import Workspace


@task(name="discover", description="list every object of the sources", **STAGE_TASK)
def discover(workspace: Workspace) -> State[None]:
    """Bring `discover` up to date in a workspace."""
    return run_stage_task("discover", workspace)
