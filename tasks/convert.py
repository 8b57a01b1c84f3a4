"""The stage `convert` as a task: write one beton per shard."""

from __future__ import annotations

from prefect import State, task

from tasks.stage_task import STAGE_TASK, run_stage_task
from tasks.workspace import Workspace


@task(name="convert", description="write one beton per shard", **STAGE_TASK)
def convert(workspace: Workspace) -> State[None]:
    """Bring `convert` up to date in a workspace."""
    return run_stage_task("convert", workspace)
