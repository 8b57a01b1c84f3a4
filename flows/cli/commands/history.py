"""`perennial history`: all nights and versions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = "list all nights: verdict and reason, accuracy, growth of the data, labels changed, time and cost"
EPILOG = (
    "A night is a run, or a registration by `dvc repro`. Runs that failed or were skipped are listed too. The setting "
    "price_per_hour adds what each night cost. docs/report.md explains every column."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial history`."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a JSON object")
    form.add_argument(
        "--csv", action="store_true", help="print as CSV, safe to open in a spreadsheet"
    )
    form.add_argument(
        "--page",
        action="store_true",
        help="write the page with its charts, linked from every report, and print its path",
    )


def run(options: argparse.Namespace) -> int:
    """Print the nights, the newest last."""
    from flows.cli.project import find_project
    from pipeline_lib.history import as_csv, as_json, as_text, gather, summary
    from pipeline_lib.registry.registry import load_registry
    from pipeline_lib.settings import load_settings
    from tasks.line_lock import holder_of_line, waiting_for_line

    origin = find_project(Path.cwd())
    settings = load_settings(origin)
    registry = load_registry(settings, origin)
    state = settings.state_folder(origin)
    holder = holder_of_line(state)
    running = [*([holder] if holder else []), *waiting_for_line(state)]
    history = gather(registry, settings, running=running)
    folder = state / "reports"
    if options.page:
        from pipeline_lib.history import write_page

        print(write_page(history, folder).resolve())
        return 0
    reports = str(folder.relative_to(origin) if folder.is_relative_to(origin) else folder)
    if options.json:
        print(as_json(history, reports=reports))
    elif options.csv:
        print(as_csv(history, reports=reports), end="")
    elif history.nights:
        print(as_text(history, reports=reports))
    if history.nights:
        print(summary(history), file=sys.stderr)
    else:
        print("no night yet: `dvc repro` or `perennial run` makes the first", file=sys.stderr)
    return 0
