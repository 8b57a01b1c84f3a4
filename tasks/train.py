"""The stage `train` as a task: train on the selection."""

from __future__ import annotations

from prefect import State, task

from tasks.stage_task import run_stage_task, stage_options
from tasks.workspace import Workspace


@task(**stage_options("train", "train on the selection"))
def train(workspace: Workspace) -> State[None]:
    """Bring `train` up to date in a workspace."""
    return run_stage_task("train", workspace)
