"""Open the run's workspace as a task: clone, check the parameters, link the last results from the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from tasks.changed_params import flat
from tasks.dvc_process import run_dvc
from tasks.workspace import Workspace, create_workspace


@task(
    name="prepare",
    task_run_name="prepare",
    description="clone the workspace and check the parameters",
    cache_policy=NO_CACHE,
)
def prepare(
    origin: Path,
    *,
    run: str,
    changes: dict[str, Any],
    branch: str | None,
    with_edits: bool,
    after: Workspace | None = None,
) -> Workspace:
    """Open the workspace of a run, see create_workspace, and log its starting point."""
    log = get_run_logger()
    workspace = create_workspace(
        origin, run=run, changes=changes, branch=branch, with_edits=with_edits, after=after
    )
    log.info("workspace %s with %s", workspace.folder, workspace.taken)
    for remark in workspace.remarks:
        log.warning(remark)
    for key, value in flat(workspace.changes).items():
        log.info("changed parameter: %s = %s", key, value)
    if workspace.candidate:
        log.info(
            "a run with changed parameters registers a candidate at most, and stays off the line"
        )
    if (workspace.folder / "dvc.lock").exists():
        run_dvc(
            ["checkout", "--quiet", "--force", "--allow-missing"],
            workspace,
            name="checkout",
            on_line=log.info,
        )
    return workspace
