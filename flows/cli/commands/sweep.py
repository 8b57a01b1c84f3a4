"""`perennial sweep`: run the flow `sweep` in this process."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = (
    "train with several sets of parameters, compare on validation, evaluate and register the best"
)
EPILOG = (
    "Trains every combination, one after another: `perennial sweep --set train.peak_learning_rate=0.02,0.05 "
    "--set train.seed=0,1` trains four times. Only the best is evaluated on the test split and registered, as a "
    "candidate. A sweep that is started again takes its finished trials from DVC's cache."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial sweep`."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=A,B,...",
        help="values to try for a parameter; may be repeated",
    )
    parser.add_argument(
        "--by",
        choices=("val_loss", "val_top1"),
        default="val_loss",
        help="validation score to choose the best by (default: val_loss, finer than top-1 with few images)",
    )
    parser.add_argument(
        "--branch",
        default="",
        help="branch to take code and parameters from (default: this checkout)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(options: argparse.Namespace) -> int:
    """Run the flow in this process. Raises the PipelineError that ended it."""
    from flows.cli.project import find_project
    from flows.local_run import comparison, sweep_here
    from tasks.changed_params import check_changes, parse_grid
    from tasks.sweep_trials import check_sections

    origin = find_project(Path.cwd())
    combinations = parse_grid(options.set)
    check_sections(combinations[0])
    if not options.branch:  # fail before Prefect starts, which takes seconds
        for changes in combinations:
            check_changes(origin / "params.yaml", changes)
    result = sweep_here(origin, grid=options.set, by=options.by, branch=options.branch)
    print(result.as_json() if options.json else comparison(result))
    return 0
