"""The stage `curate` as a task: decide on every image."""

from __future__ import annotations

from prefect import State, task

from tasks.artifacts import show_ledger
from tasks.stage_task import run_stage_task, stage_options
from tasks.workspace import Workspace


@task(**stage_options("curate", "decide on every image"))
def curate(workspace: Workspace) -> State[None]:
    """Bring `curate` up to date in a workspace."""
    state = run_stage_task("curate", workspace)
    if state.is_completed():
        show_ledger(workspace)
    return state
