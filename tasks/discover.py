"""The stage `discover` as a task: list every object of the sources."""

from __future__ import annotations

from prefect import State, task

from tasks.stage_task import run_stage_task, stage_options
from tasks.workspace import Workspace


@task(**stage_options("discover", "list every object of the sources"))
def discover(workspace: Workspace) -> State[None]:
    """Bring `discover` up to date in a workspace."""
    return run_stage_task("discover", workspace)
