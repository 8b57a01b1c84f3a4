"""`perennial up`: start a Prefect server, work pool and worker on this machine, and deploy the flows."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "start a Prefect server, pool and worker on loopback and deploy the flows; safe to repeat"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial up`."""
    parser.add_argument(
        "--port", type=int, default=4200, help="port of the server on 127.0.0.1 (default 4200)"
    )
    parser.add_argument(
        "--branch",
        default="",
        help="branch that deployed runs use (default: the one checked out now)",
    )


def run(options: argparse.Namespace) -> int:
    """Start server and worker unless they run, and print the address. Raises UsageError or ServiceUnavailable."""
    from flows.cli.project import find_project
    from flows.up_and_down import bring_up

    print(bring_up(find_project(Path.cwd()), port=options.port, branch=options.branch))
    return 0
