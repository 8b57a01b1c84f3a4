"""Around the stages of every flow run: naming, registration and clean-up of processes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow, State, get_client, get_run_logger
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.cli.project import find_project
from pipeline_lib.errors import PipelineError
from pipeline_lib.harness.operations import in_words, note_run
from pipeline_lib.settings import load_settings
from tasks import process_group
from tasks.line_branch import forget_old_runs
from tasks.line_lock import LineTaken, holding_the_line
from tasks.notification import announce_left
from tasks.workspace import FLOW, forget_old_workspaces


def run_name() -> str:
    """Return the name of the flow run, its workspace and its tag: start time and first 8 characters of the id."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{str(flow_run.id)[:8]}"


def trial_name(run: str, number: int) -> str:
    """Return the name of a trial's workspace, which ends like the run's, so that `kill_leftovers` finds both."""
    started, _, flow_id = run.rpartition("-")
    return f"{started}-t{number}-{flow_id}"


def kill_leftovers(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Kill the processes of a cancelled or crashed run. Prefect calls this after the run's own process has ended."""
    for folder in _records(origin_of_run()).glob(f"*-{str(flow_run.id)[:8]}"):
        process_group.kill_recorded(folder)


@contextlib.contextmanager
def on_the_line(origin: Path, run: str) -> Iterator[None]:
    """Hold the line while the block runs, clean up after dead runs, and leave no process behind.

    While another run holds the line, a scheduled run raises LineTaken, since the next one is due anyway. A run that a
    person started waits in the state AwaitingLine, without a time limit, until it is cancelled.
    """
    state, waited = load_settings(origin).state_folder(origin), False

    def show(holder: str) -> None:
        nonlocal waited
        waited = True
        sentence = f"waiting for the line, which run {holder} holds"
        get_run_logger().info(sentence)
        _show_state("AwaitingLine", sentence)

    with (
        _noting_no_result(state, run),
        holding_the_line(state, run, waits=not is_scheduled(), on_wait=show),
    ):
        if waited:
            get_run_logger().info("the line is free")
            _show_state("Running", "the line is free")
        _kill_what_dead_runs_left(origin)
        process_group.STOPPING.clear()
        for run_before in announce_left(origin):
            get_run_logger().info(
                "announced a promotion by run %s, which ended before it could", run_before
            )
        with _leaving_no_process():
            yield


@contextlib.contextmanager
def _noting_no_result(state: Path, run: str) -> Iterator[None]:
    """Leave a line in operations.jsonl when the run fails or is skipped: `perennial history` tells of it."""
    started = datetime.now(UTC)
    try:
        yield
    except LineTaken as taken:
        note_run(state, run, started=started, skipped=str(taken))
        raise
    except BaseException as error:
        note_run(state, run, started=started, error=in_words(error))
        raise


def skipped(taken: LineTaken) -> State[Any]:
    """Return the final state of a scheduled run that found the line taken."""
    sentence = (
        f"Skipped: {taken}; the next scheduled run is not affected, `retrain` starts one by hand."
    )
    get_run_logger().info(sentence)
    return Completed(name="Skipped", message=sentence)


def is_scheduled() -> bool:
    """Whether a schedule started this flow run, not a person."""
    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.auto_scheduled)


def _show_state(name: str, message: str) -> None:
    """Rename the running state. If the server cannot be reached, the run goes on under the old name."""
    state: State[Any] = State(type=StateType.RUNNING, name=name, message=message)
    try:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(UUID(str(flow_run.id)), state, force=True)
    except httpx.HTTPError as error:
        get_run_logger().warning("could not tell the server of the state %s: %s", name, error)


@contextlib.contextmanager
def _leaving_no_process() -> Iterator[None]:
    """Kill our child processes on Ctrl-C, cancellation or a defect; after an error of a stage there are none."""
    try:
        yield
    except PipelineError:
        raise
    except BaseException:
        process_group.stop_all()
        raise


def forget_what_is_old(origin: Path) -> None:
    """Remove the workspaces and tags of earlier runs beyond the number that the settings keep."""
    settings = load_settings(origin)
    forget_old_workspaces(origin, settings)
    forget_old_runs(origin, settings.keep_runs)


def put_on_record(origin: Path, run: str) -> None:
    """Record that the processes of `run` belong to this flow, so that no other run kills them as leftovers."""
    process_group.put_on_record(os.getpid(), _records(origin) / run / FLOW)


def origin_of_run() -> Path:
    """Return the original repository of the run."""
    return Path(os.environ.get("PERENNIAL_ROOT") or find_project(Path.cwd())).resolve()


def _records(origin: Path) -> Path:
    return load_settings(origin).state_folder(origin) / "running"


def _kill_what_dead_runs_left(origin: Path) -> None:
    """Kill the processes of runs that died without a hook (kill -9 of worker and flow)."""
    for folder in _records(origin).glob("*"):
        if process_group.recorded_pid(folder / FLOW) is None:
            killed = process_group.kill_recorded(folder)
            if killed:
                get_run_logger().warning(
                    "killed processes of a dead run: %s of %s", killed, folder.name
                )
