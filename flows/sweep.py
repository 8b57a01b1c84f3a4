"""The flow `sweep`: several sets of parameters, each trained in a workspace of its own, compared on validation.

Only the best meets the test split, once: the best of many test scores would be an optimistic one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from prefect import State, flow, get_run_logger
from prefect.runtime import deployment, flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.line import TO_TRAIN, evaluate_and_register, result_of, start, start_data
from flows.running import (
    forget_what_is_old,
    kill_leftovers,
    on_the_line,
    origin_of_run,
    put_on_record,
    run_name,
    skipped,
    trial_name,
)
from pipeline_lib.errors import ConfigError, PipelineError
from tasks import process_group
from tasks.artifacts import show_trials
from tasks.changed_params import check_changes, flat, parse_grid
from tasks.line_branch import keep_result
from tasks.line_lock import LineTaken
from tasks.prepare import prepare
from tasks.sweep_trials import (
    By,
    Trial,
    best_trial,
    check_same_validation,
    check_sections,
    count_validation,
    not_told_apart,
    read_trial,
    stages_of_trial,
)
from tasks.workspace import Workspace, forget_workspace


@flow(
    name="sweep",
    flow_run_name=run_name,
    description="Train with several sets of parameters, compare on validation, evaluate and register the best.",
    task_runner=ThreadPoolTaskRunner(max_workers=2),  # type: ignore[arg-type] # Prefect's own type is too narrow
    on_cancellation=[kill_leftovers],
    on_crashed=[kill_leftovers],
    persist_result=False,
)
def sweep(grid: list[str], by: By = "val_loss", branch: str = "") -> State[Any]:
    """Train every combination of a grid, one after another, and register the best as a candidate.

    The sources are listed once, so all trials see the same images. A failed trial is reported and left out. A sweep
    that is started again takes its finished trials from DVC's cache.

    Args:
        grid: The values to try, one line per parameter: section.key=value,value. For example
            `train.peak_learning_rate=0.02,0.05` and `train.seed=0,1`, which train four times.
        by: The validation score to choose by, at each trial's best epoch; with few images the loss is finer than top-1.
        branch: The branch, tag or commit whose stages, parameters and DVC remotes to use, for example `main`. Left
            empty: whatever is checked out when the run begins.
    """
    origin, run = origin_of_run(), flow_run.name or run_name()
    try:
        with on_the_line(origin, run):
            combinations, with_edits = parse_grid(grid), deployment.id is None
            check_sections(combinations[0])
            base = prepare(
                origin, run=run, changes={}, branch=branch or None, with_edits=with_edits
            )
            for changes in combinations:
                check_changes(base.folder / "params.yaml", changes)
            for future in start_data(base):
                future.result()
            tried = _try_all(combinations, base, by)
            show_trials(tried.trials, tried.best)
            evaluate_and_register(tried.workspace)
            commit = keep_result(tried.workspace)
            get_run_logger().info("best: trial %d, commit %s", tried.best.number, commit[:12])
            forget_what_is_old(origin)
            data = _data(tried, by, commit)
    except LineTaken as taken:
        return skipped(taken)
    except PipelineError as error:
        return Failed(message=str(error), data=error)
    best = f"best of {len(tried.trials)}: trial {tried.best.number}"
    return Completed(message=f"{best}. Ran {base.taken}. Result: commit {commit[:12]}", data=data)


@dataclass(frozen=True)
class SweptTrials:
    """All trials, the best, and its workspace."""

    trials: list[Trial]
    best: Trial
    workspace: Workspace


def _try_all(combinations: list[dict[str, Any]], base: Workspace, by: By) -> SweptTrials:
    """Train every combination and keep the workspace of the best alone. Raises ConfigError if every trial failed."""
    trials: list[Trial] = []
    kept: Workspace | None = None
    for number, changes in enumerate(combinations, 1):
        run = trial_name(base.run, number)
        put_on_record(base.origin, run)
        workspace = prepare.with_options(task_run_name=f"prepare {number}")(
            base.origin, run=run, changes=changes, branch=base.commit, with_edits=False, after=base
        )
        trials.append(_try(number, workspace, base))
        if best_trial(trials, by) is trials[-1]:
            kept, workspace = workspace, kept or base
        if workspace is not base:
            forget_workspace(workspace)
    best = best_trial(trials, by)
    if best is None or kept is None:
        remedy = "fix the error of the first trial, shown here"
        raise ConfigError("every trial failed", file="sweep", value=trials[0].error, remedy=remedy)
    return SweptTrials(trials, best, kept)


def _try(number: int, workspace: Workspace, base: Workspace) -> Trial:
    """Run one trial up to its validation scores; a failure becomes part of the comparison. Raises when told to stop."""
    try:
        for stage in stages_of_trial(workspace.changes):
            if stage == "train":
                check_same_validation(workspace, base)
            start(
                TO_TRAIN[stage].with_options(task_run_name=f"{stage} {number}"), replace(workspace)
            ).result()
        return read_trial(number, workspace)
    except PipelineError as error:
        if process_group.STOPPING.is_set():
            raise
        get_run_logger().warning("trial %d has no result: %s", number, error)
        return Trial(number, flat(workspace.changes), error=str(error))


def _data(tried: SweptTrials, by: By, commit: str) -> dict[str, Any]:
    """Collect the fields of flows.local_run.SweepResult."""
    n = count_validation(tried.workspace)
    return {
        "trials": [asdict(trial) for trial in tried.trials],
        "by": by,
        "best": tried.best.number,
        "not_told_apart": not_told_apart(tried.trials, tried.best, n),
        "validation_pictures": n,
        "result": result_of(tried.workspace, commit),
    }
