"""The stage `evaluate` as a task: score the test split once, export."""

from __future__ import annotations

from prefect import State, task

from tasks.stage_task import STAGE_TASK, run_stage_task
from tasks.workspace import Workspace


@task(name="evaluate", description="score the test split once, export", **STAGE_TASK)
def evaluate(workspace: Workspace) -> State[None]:
    """Bring `evaluate` up to date in a workspace."""
    return run_stage_task("evaluate", workspace)
