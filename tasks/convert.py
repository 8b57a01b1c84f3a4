"""The stage `convert` as a task: write one beton per shard."""

from __future__ import annotations

from prefect import State, task

from tasks.stage_task import run_stage_task, stage_options
from tasks.workspace import Workspace


@task(**stage_options("convert", "write one beton per shard"))
def convert(workspace: Workspace) -> State[None]:
    """Bring `convert` up to date in a workspace."""
    return run_stage_task("convert", workspace)
