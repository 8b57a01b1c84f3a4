"""The stage `download` as a task: fetch, verify and pack into shards."""

from __future__ import annotations

from prefect import State, task

from tasks.stage_task import run_stage_task, stage_options
from tasks.workspace import Workspace


@task(**stage_options("download", "fetch, verify and pack into shards"))
def download(workspace: Workspace) -> State[None]:
    """Bring `download` up to date in a workspace."""
    return run_stage_task("download", workspace)
