"""The stage `download` as a task: fetch, verify and pack into shards."""

from __future__ import annotations

from prefect import State, task

from tasks.stage_task import STAGE_TASK, run_stage_task
from tasks.workspace import Workspace


@task(name="download", description="fetch, verify and pack into shards", **STAGE_TASK)
def download(workspace: Workspace) -> State[None]:
    """Bring `download` up to date in a workspace."""
    return run_stage_task("download", workspace)
