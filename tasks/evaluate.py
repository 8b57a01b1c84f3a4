"""The stage `evaluate` as a task: score the test split once, export."""

from __future__ import annotations

from prefect import State, task

from tasks.artifacts import show_scores
from tasks.stage_task import run_stage_task, stage_options
from tasks.workspace import Workspace


@task(**stage_options("evaluate", "score the test split once, export"))
def evaluate(workspace: Workspace) -> State[None]:
    """Bring `evaluate` up to date in a workspace."""
    state = run_stage_task("evaluate", workspace)
    if state.is_completed():
        show_scores(workspace)
    return state
