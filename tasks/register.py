"""The stage `register` as a task: compare with the champion; promote or hold."""

from __future__ import annotations

from prefect import State, task

from tasks.stage_task import STAGE_TASK, run_stage_task
from tasks.workspace import Workspace


@task(name="register", description="compare with the champion; promote or hold", **STAGE_TASK)
def register(workspace: Workspace) -> State[None]:
    """Bring `register` up to date in a workspace."""
    return run_stage_task("register", workspace)
