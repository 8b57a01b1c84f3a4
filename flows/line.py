"""The stages as tasks, in order; independent stages run in parallel."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from prefect import State, Task
from prefect.futures import PrefectFuture

from tasks.artifacts import read_metrics
from tasks.convert import convert
from tasks.curate import curate
from tasks.discover import discover
from tasks.download import download
from tasks.evaluate import evaluate
from tasks.inspect import inspect
from tasks.line_branch import commit_for_register
from tasks.push import push
from tasks.register import register
from tasks.registration import registration_of
from tasks.train import train
from tasks.workspace import Workspace

Future = PrefectFuture[State[None]]
TO_TRAIN = {
    "download": download,
    "inspect": inspect,
    "curate": curate,
    "convert": convert,
    "train": train,
}


def run_line(workspace: Workspace) -> None:
    """Run all stages. Raises the first error."""
    data = start_data(workspace)
    evaluate_and_register(workspace, *data, start(train, replace(workspace), *data[-2:]))


def start_data(workspace: Workspace) -> tuple[Future, ...]:
    """Start the stages from `discover` to `convert`; `curate` and `convert` run in parallel."""
    # A copy: Prefect draws an edge from the task that returned the very object it finds among another's arguments.
    here = replace(workspace)
    listed = start(discover, here)
    packed = start(download, here, listed)
    decoded = start(inspect, here, packed)
    return listed, packed, decoded, start(curate, here, decoded), start(convert, here, decoded)


def evaluate_and_register(workspace: Workspace, *before: Future) -> None:
    """Evaluate on the test split after the last of `before`, push and register. Raises the first error."""
    here = replace(workspace)
    scored = start(evaluate, here, *before[-1:])
    pushed = start(push, here, scored)
    for future in (*before, scored, pushed):
        future.result()
    commit_for_register(workspace)
    start(register, here, pushed).result()


def result_of(workspace: Workspace, commit: str) -> dict[str, Any]:
    """Collect the fields of flows.local_run.RunResult for a completed run."""
    data: dict[str, Any] = {
        "run": workspace.run,
        "commit": commit,
        "candidate": workspace.candidate,
    }
    data["metrics"] = read_metrics(workspace)
    registration = registration_of(workspace)
    if registration:
        data |= asdict(registration.outcome) | {"report": str(registration.report)}
    return data


def start(stage: Task[[Workspace], State[None]], workspace: Workspace, *after: Future) -> Future:
    """Start a stage task once others have completed; its future raises the stage's error."""
    return stage.submit(workspace, return_state=False, wait_for=after)
