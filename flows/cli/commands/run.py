"""`perennial run`: run the flow `retrain` in this process."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "run the whole line in a separate workspace, each stage as a Prefect task"
EPILOG = (
    "With --set, the result is a candidate: it is registered, never promoted, and stays off the branch perennial/line. "
    "A value that equals the one in params.yaml is no change."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial run`."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="change a parameter for this run; may be repeated",
    )
    parser.add_argument(
        "--branch",
        default="",
        help="branch to take code and parameters from (default: this checkout)",
    )
    parser.add_argument(
        "--fail-if-held",
        action="store_true",
        help="exit with code 3 if the model does not become champion",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(options: argparse.Namespace) -> int:
    """Run the flow in this process. Raises the PipelineError of the stage that failed."""
    from flows.cli.project import find_project
    from flows.local_run import run_here, summary
    from pipeline_lib.errors import GateHeld
    from tasks.changed_params import check_changes, parse_changes

    origin = find_project(Path.cwd())
    changes = parse_changes(options.set)
    if not options.branch:  # fail before Prefect starts, which takes seconds
        check_changes(origin / "params.yaml", changes)
    result = run_here(origin, changes=changes, branch=options.branch)
    print(result.as_json() if options.json else summary(result))
    if options.fail_if_held and not result.is_champion:
        remedy = "read the report; `perennial versions` shows which version is champion"
        raise GateHeld(
            "this model is not the champion",
            file=result.report,
            value=result.sentence,
            remedy=remedy,
        )
    return 0
