"""What every flow run does around its stages: a name, a place on record, and an end that leaves no process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import Flow, State, get_run_logger
from prefect.client.schemas.objects import FlowRun
from prefect.runtime import flow_run

from flows.project import find_project
from pipeline_lib.errors import PipelineError
from pipeline_lib.settings import load_settings
from tasks import process_group
from tasks.line_branch import forget_old_runs
from tasks.workspace import FLOW, forget_old_workspaces


def run_name() -> str:
    """The name of the flow run, its workspace and its tag: when it started, and the start of its id."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{str(flow_run.id)[:8]}"


def trial_name(run: str, number: int) -> str:
    """The name of a trial's workspace: it ends as the run's own does, so that the same hook finds what it left."""
    started, _, flow_id = run.rpartition("-")
    return f"{started}-t{number}-{flow_id}"


def kill_leftovers(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Kill what a cancelled or crashed run left. Prefect calls this after the run's own process has ended."""
    for folder in _records(origin_of_run()).glob(f"*-{str(flow_run.id)[:8]}"):
        process_group.sweep(folder)


def begin(origin: Path, run: str) -> None:
    """Kill what dead runs left, and put this run on record."""
    _sweep_dead_runs(origin)
    process_group.STOPPING.clear()
    put_on_record(origin, run)


@contextlib.contextmanager
def leaving_no_process() -> Iterator[None]:
    """Kill what this process started when it ends by Ctrl-C, a cancellation or a defect; a stage's error passes."""
    try:
        yield
    except PipelineError:
        raise
    except BaseException:
        process_group.stop_all()
        raise


def forget_what_is_old(origin: Path) -> None:
    """Remove workspaces and tags of earlier runs, as far as the settings keep no more."""
    settings = load_settings(origin)
    forget_old_workspaces(origin, settings)
    forget_old_runs(origin, settings.keep_runs)


def put_on_record(origin: Path, run: str) -> None:
    """Say that the processes of `run` belong to this flow, so that no other run takes them for left behind."""
    process_group.put_on_record(os.getpid(), _records(origin) / run / FLOW)


def origin_of_run() -> Path:
    """The repository that the run works for."""
    return Path(os.environ.get("PERENNIAL_ROOT") or find_project(Path.cwd())).resolve()


def _records(origin: Path) -> Path:
    return load_settings(origin).state_folder(origin) / "running"


def _sweep_dead_runs(origin: Path) -> None:
    """Kill what runs that died without a hook (kill -9 of worker and flow) left."""
    for folder in _records(origin).glob("*"):
        if process_group.recorded_pid(folder / FLOW) is None:
            killed = process_group.sweep(folder)
            if killed:
                get_run_logger().warning("killed what a dead run left: %s of %s", killed, folder.name)
