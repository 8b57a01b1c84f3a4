"""`perennial status`: what runs now."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "say whether the server is up and which runs are at work"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial status`."""
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the server's address and the names of the runs at work."""
    from flows.prefect_home import server_url
    from flows.project import find_project
    from flows.serving import runs_at_work

    origin = find_project(Path.cwd())
    found = {"server": server_url(origin), "runs": runs_at_work(origin)}
    if options.json:
        print(json.dumps(found))
        return 0
    print(f"server: {found['server'] or 'not running (`perennial up` starts it)'}")
    print(f"runs:   {', '.join(runs_at_work(origin)) or 'none'}")
    return 0
