"""Run a flow in this process, with this project's Prefect server if it is up, else with a temporary one."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flows.prefect_home import credential, prefect_environment, server_url
from flows.server_health import check_door
from flows.server_process import start_run_server

if TYPE_CHECKING:
    from prefect import State


@dataclass(frozen=True)
class RunResult:
    """The result of a run. commit: holds params.yaml, dvc.lock and metrics; metrics: section -> name -> value.

    happened, version, champion, is_champion, sentence: see pipeline_lib.registry.Outcome; empty for a line that
    registers nothing. report: its path.
    """

    run: str
    commit: str
    candidate: bool
    metrics: dict[str, Any]
    happened: str = ""
    version: int | None = None
    champion: int | None = None
    is_champion: bool = False
    sentence: str = ""
    report: str = ""

    def as_json(self) -> str:
        """Format for `perennial run --json`."""
        return json.dumps(asdict(self), indent=1)


@dataclass(frozen=True)
class SweepResult:
    """The result of a sweep.

    trials: see tasks.sweep_trials.Trial; best, not_told_apart: trial numbers; result: best's.
    """

    trials: list[dict[str, Any]]
    by: str
    best: int
    not_told_apart: list[int]
    validation_pictures: int
    result: RunResult

    def as_json(self) -> str:
        """Format for `perennial sweep --json`; a failed trial has null scores."""
        return json.dumps(
            {**asdict(self), "trials": [_printed(one) for one in self.trials]}, indent=1
        )


def _printed(trial: dict[str, Any]) -> dict[str, Any]:
    """A trial as scripts know it: its changed parameters are called overrides there."""
    known = {"changes": "overrides"}
    printed = {known.get(name, name): value for name, value in trial.items()}
    if trial["error"]:
        printed |= {"val_loss": None, "val_top1": None}
    return printed


def run_here(origin: Path, *, changes: dict[str, Any], branch: str) -> RunResult:
    """Run the whole line. Raises the PipelineError of the stage that failed."""
    _reach_prefect(origin)
    from flows.form import Advanced
    from flows.retrain import retrain

    advanced = Advanced.model_validate(changes)
    return RunResult(**_data(retrain(advanced=advanced, branch=branch, return_state=True)))


def sweep_here(
    origin: Path, *, grid: list[str], by: Literal["val_loss", "val_top1"], branch: str
) -> SweepResult:
    """Run a sweep. Raises the PipelineError that ended it."""
    _reach_prefect(origin)
    from flows.sweep import sweep

    data = _data(sweep(grid=grid, by=by, branch=branch, return_state=True))
    return SweepResult(**{**data, "result": RunResult(**data["result"])})


def _reach_prefect(origin: Path) -> None:
    """Set the environment for Prefect, which reads it on import; start a server if none is up."""
    stays = server_url(origin)
    if stays is not None:
        check_door(stays, credential(origin))
    url = stays or start_run_server(origin)
    os.environ.update(prefect_environment(origin, url, pages=stays is not None))
    logging.getLogger().handlers.clear()  # Prefect sets up its log format only if nobody else has


def _data(state: State[Any]) -> dict[str, Any]:
    """Return the data of a flow's final state. Raises the error that it holds, if any."""
    data: dict[str, Any] | BaseException = state.result(raise_on_failure=False)
    if isinstance(data, BaseException):
        raise data
    return data


def summary(result: RunResult) -> str:
    """Format the result of a run as text."""
    test = result.metrics.get("test", {})
    scores = ", ".join(
        f"{name} {test[name]:.4f}" for name in ("top1", "top5", "f1") if name in test
    )
    lines = [f"run {result.run}: {scores}" if scores else f"run {result.run}"]
    if result.sentence:
        lines += [f"  {result.sentence}", f"  report: {result.report}"]
    if result.candidate:
        lines.append(
            f"  a run with changed parameters stays off the line: git show perennial/run/{result.run}"
        )
    else:
        lines.append(
            "  into this checkout: git checkout perennial/line -- dvc.lock params.yaml line && dvc checkout"
        )
    return "\n".join(lines)


def comparison(result: SweepResult) -> str:
    """Format the trials, and the result of the best one, as text."""
    swept = list(dict.fromkeys(key for trial in result.trials for key in trial["changes"]))
    rows = [["trial", *swept, "validation loss", "top-1", "epoch"]]
    for trial in result.trials:
        scores = [
            f"{trial['val_loss']:.4f}",
            f"{100 * trial['val_top1']:.2f} %",
            str(trial["epoch"]),
        ]
        values = [str(trial["changes"].get(key, "")) for key in swept]
        rows.append(
            [str(trial["number"]), *values, *(["no result", "", ""] if trial["error"] else scores)]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    lines += [
        f"trial {trial['number']}: {trial['error']}" for trial in result.trials if trial["error"]
    ]
    lines.append(
        f"best by {result.by} on {result.validation_pictures} validation images: trial {result.best}"
    )
    if result.not_told_apart:
        others = ", ".join(map(str, result.not_told_apart))
        lines.append(
            f"  within one standard error of its top-1: trial {others}; more images or seeds would separate them"
        )
    return "\n".join(
        [*lines, "the best trial, evaluated once on the test split:", summary(result.result)]
    )
