"""Push the results to the default DVC remote before registration, so that no version depends on a single disk."""

from __future__ import annotations

from dvc.config import Config
from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed

from pipeline_lib.settings import load_settings
from tasks.dvc_process import run_dvc
from tasks.workspace import Workspace


@task(
    name="push",
    task_run_name="push",
    description="push to the default DVC remote",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=10,
)
def push(workspace: Workspace) -> State[None]:
    """Push data and run-cache, unless there is no remote or the setting `dvc_push` is off."""
    remote = Config(str(workspace.folder / ".dvc"))["core"].get("remote")
    if not remote:
        return Completed(name="NoRemote", message="no DVC remote is configured: nothing pushed")
    if not load_settings(workspace.folder).dvc_push:
        return Completed(name="PushIsOff", message="the setting dvc_push is off: nothing pushed")
    run_dvc(["push", "--run-cache"], workspace, name="push", on_line=get_run_logger().info)
    return Completed(name="Pushed", message=f"pushed to the remote {remote}")
