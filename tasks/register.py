"""The stage `register` as a task: compare with the champion; promote or hold."""

from __future__ import annotations

from prefect import State, task

from tasks.artifacts import show_verdict
from tasks.notification import announce
from tasks.registration import registration_of
from tasks.stage_task import run_stage_task, stage_options
from tasks.workspace import Workspace


@task(**stage_options("register", "compare with the champion; promote or hold"))
def register(workspace: Workspace) -> State[None]:
    """Bring `register` up to date in a workspace."""
    state = run_stage_task("register", workspace)
    registration = registration_of(workspace) if state.is_completed() else None
    if registration:
        show_verdict(registration)
        announce(registration, workspace)
    return state
