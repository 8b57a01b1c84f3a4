"""`perennial down`: stop what `perennial up` started."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = "stop the runs, worker and server that `perennial up` started"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(options: argparse.Namespace) -> int:
    """Stop them and wait until they are gone."""
    from flows.cli.project import find_project
    from flows.up_and_down import take_down

    stopped = take_down(find_project(Path.cwd()))
    print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running", file=sys.stderr)
    return 0
