"""The flow `retrain`: the whole line, each stage a task, in a workspace of its own."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import Flow, State, Task, flow, get_run_logger
from prefect.client.schemas.objects import FlowRun
from prefect.futures import PrefectFuture
from prefect.runtime import deployment, flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.form import Advanced, Change, overrides_of
from flows.project import find_project
from pipeline_lib.errors import PipelineError
from pipeline_lib.settings import load_settings
from tasks import process_group
from tasks.artifacts import read_metrics
from tasks.convert import convert
from tasks.curate import curate
from tasks.discover import discover
from tasks.download import download
from tasks.evaluate import evaluate
from tasks.inspect import inspect
from tasks.line_branch import commit_for_register, forget_old_runs, keep_result
from tasks.prepare import prepare
from tasks.push import push
from tasks.register import register
from tasks.registration import registration_of
from tasks.train import train
from tasks.workspace import FLOW, Workspace, forget_old_workspaces


def run_name() -> str:
    """The name of the flow run, its workspace and its tag: when it started, and the start of its id."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{str(flow_run.id)[:8]}"


def sweep(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Kill what a cancelled or crashed run left. Prefect calls this after the run's own process has ended."""
    running = _state_folder(_origin()) / "running"
    for folder in running.glob(f"*-{str(flow_run.id)[:8]}"):
        process_group.sweep(folder)


@flow(
    name="retrain",
    flow_run_name=run_name,
    description="Discover, download, inspect, curate, convert, train, evaluate, register.",
    task_runner=ThreadPoolTaskRunner(max_workers=2),  # type: ignore[arg-type] # Prefect's own type is too narrow
    on_cancellation=[sweep],
    on_crashed=[sweep],
    persist_result=False,
)
def retrain(
    change: Change = Change(),  # noqa: B008 - frozen by Prefect at deployment
    branch: str = "",
    advanced: Advanced | None = None,
) -> State[Any]:
    """Bring the whole line up to date and register the model.

    change: what to set differently for this run only. branch: whose code and parameters to use; what is checked out
    when empty. advanced: every other key. A run from the command line takes uncommitted edits in, a deployed one not.
    """
    origin, run = _origin(), flow_run.name or run_name()
    _sweep_dead_runs(origin)
    process_group.STOPPING.clear()
    process_group.put_on_record(os.getpid(), _state_folder(origin) / "running" / run / FLOW)
    try:
        overrides, with_edits = overrides_of(change, advanced), deployment.id is None
        workspace = prepare(origin, run=run, overrides=overrides, branch=branch or None, with_edits=with_edits)
        run_line(workspace)
        commit = keep_result(workspace)
        get_run_logger().info("result: commit %s, tag perennial/run/%s", commit[:12], run)
    except PipelineError as error:
        return Failed(message=str(error), data=error)
    except BaseException:
        process_group.stop_all()
        raise
    settings = load_settings(origin)
    forget_old_workspaces(origin, settings)
    forget_old_runs(origin, settings.keep_runs)
    return _result(workspace, commit)


def run_line(workspace: Workspace) -> None:
    """Run all stages; `curate` and `convert` need nothing of each other and run at once. Raises the first fault."""
    # A copy: Prefect draws an edge from the task that returned the very object it finds among another's arguments.
    here = replace(workspace)
    listed = _start(discover, here)
    packed = _start(download, here, listed)
    decoded = _start(inspect, here, packed)
    decided = _start(curate, here, decoded)
    converted = _start(convert, here, decoded)
    trained = _start(train, here, decided, converted)
    scored = _start(evaluate, here, trained)
    pushed = _start(push, here, scored)
    for future in (listed, packed, decoded, decided, converted, trained, scored, pushed):
        future.result()
    commit_for_register(workspace)
    _start(register, here, pushed).result()


def _start(
    stage: Task[[Workspace], State[None]], workspace: Workspace, *after: PrefectFuture[State[None]]
) -> PrefectFuture[State[None]]:
    """Start a stage task once others have completed; its future raises the stage's error."""
    return stage.submit(workspace, return_state=False, wait_for=after)


def _result(workspace: Workspace, commit: str) -> State[Any]:
    """The state of a completed run, whose data is what `perennial run` prints."""
    data: dict[str, Any] = {"run": workspace.run, "commit": commit, "candidate": workspace.candidate}
    data["metrics"] = read_metrics(workspace)
    registration = registration_of(workspace)
    if registration:
        version = registration.version.number if registration.version else None
        data |= {"decision": registration.verdict.decision, "verdict": registration.verdict.sentence}
        data |= {"version": version, "report": str(registration.report)}
    return Completed(message=f"{data.get('verdict', 'done')} Result: commit {commit[:12]}", data=data)


def _origin() -> Path:
    return Path(os.environ.get("PERENNIAL_ROOT") or find_project(Path.cwd())).resolve()


def _state_folder(origin: Path) -> Path:
    return load_settings(origin).state_folder(origin)


def _sweep_dead_runs(origin: Path) -> None:
    """Kill what runs that died without a hook (kill -9 of worker and flow) left."""
    for folder in (_state_folder(origin) / "running").glob("*"):
        if process_group.recorded_pid(folder / FLOW) is None:
            killed = process_group.sweep(folder)
            if killed:
                get_run_logger().warning("killed what a dead run left: %s of %s", killed, folder.name)
