"""The stage `curate` as a task: decide on every picture."""

from __future__ import annotations

from prefect import State, task

from tasks.stage_task import STAGE_TASK, run_stage_task
from tasks.workspace import Workspace


@task(name="curate", description="decide on every picture", **STAGE_TASK)
def curate(workspace: Workspace) -> State[None]:
    """Bring `curate` up to date in a workspace."""
    return run_stage_task("curate", workspace)
