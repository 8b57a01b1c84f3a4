"""The stage `register` as a task: compare with the champion; promote or hold."""

from __future__ import annotations

from prefect import State, task

from tasks.artifacts import show_verdict
from tasks.notification import announce, announce_left, expect_to_announce, forget_announcement
from tasks.registration import registration_of
from tasks.stage_task import run_stage_task, stage_options
from tasks.workspace import Workspace


@task(**stage_options("register", "compare with the champion; promote or hold"))
def register(workspace: Workspace) -> State[None]:
    """Bring `register` up to date in a workspace."""
    expect_to_announce(workspace)
    state = run_stage_task("register", workspace)
    registration = registration_of(workspace) if state.is_completed() else None
    if registration:
        show_verdict(registration)
        announce(registration, workspace)
        announce_left(workspace.origin, said=registration.key)
    elif state.is_completed():  # a line that registers nothing
        forget_announcement(workspace)
    return state
