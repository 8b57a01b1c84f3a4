"""The stage `inspect` as a task: decode every image strictly."""

from __future__ import annotations

from prefect import State, task

from tasks.stage_task import run_stage_task, stage_options
from tasks.workspace import Workspace


@task(**stage_options("inspect", "decode every image strictly"))
def inspect(workspace: Workspace) -> State[None]:
    """Bring `inspect` up to date in a workspace."""
    return run_stage_task("inspect", workspace)
