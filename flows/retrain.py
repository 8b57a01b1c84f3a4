"""The flow `retrain`: the whole line, each stage a task, in a workspace of its own."""

from __future__ import annotations

from typing import Any

from prefect import State, flow, get_run_logger
from prefect.runtime import deployment, flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.form import Advanced, Change, changes_of
from flows.line import result_of, run_line
from flows.running import (
    forget_what_is_old,
    kill_leftovers,
    on_the_line,
    origin_of_run,
    run_name,
    skipped,
)
from pipeline_lib.errors import PipelineError
from tasks.line_branch import keep_result
from tasks.line_lock import LineTaken
from tasks.prepare import prepare


@flow(
    name="retrain",
    flow_run_name=run_name,
    description="Discover, download, inspect, curate, convert, train, evaluate, register.",
    task_runner=ThreadPoolTaskRunner(max_workers=2),  # type: ignore[arg-type] # Prefect's own type is too narrow
    on_cancellation=[kill_leftovers],
    on_crashed=[kill_leftovers],
    persist_result=False,
)
def retrain(
    change: Change = Change(),  # noqa: B008 - frozen by Prefect at deployment
    branch: str = "",
    advanced: Advanced | None = None,
) -> State[Any]:
    """Bring the whole line up to date and register the model.

    A run from the command line includes uncommitted edits, a deployed run does not.

    Args:
        change: Parameters to change for this run only. A run with changes registers a candidate at most.
        branch: The branch, tag or commit whose stages, parameters and DVC remotes to use, for example `main` or
            `more-epochs`. Left empty: whatever is checked out when the run begins.
        advanced: All other keys of params.yaml, by section, for this run only. Example: `{"train": {"seed": 2}}`.
    """
    origin, run = origin_of_run(), flow_run.name or run_name()
    try:
        with on_the_line(origin, run):
            changes, with_edits = changes_of(change, advanced), deployment.id is None
            workspace = prepare(
                origin, run=run, changes=changes, branch=branch or None, with_edits=with_edits
            )
            run_line(workspace)
            commit = keep_result(workspace)
            get_run_logger().info("result: commit %s, tag perennial/run/%s", commit[:12], run)
            forget_what_is_old(origin)
            data = result_of(workspace, commit)
    except LineTaken as taken:
        return skipped(taken)
    except PipelineError as error:
        return Failed(message=str(error), data=error)
    said = f"{data.get('sentence', 'done')} Ran {workspace.taken}. Result: commit {commit[:12]}"
    return Completed(message=said, data=data)
