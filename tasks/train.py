"""The stage `train` as a task: train on the selection."""

from __future__ import annotations

from prefect import State, task

from tasks.stage_task import STAGE_TASK, run_stage_task
from tasks.workspace import Workspace


@task(name="train", description="train on the selection", **STAGE_TASK)
def train(workspace: Workspace) -> State[None]:
    """Bring `train` up to date in a workspace."""
    return run_stage_task("train", workspace)
