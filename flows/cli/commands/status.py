"""`perennial status`: show what is running."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "show whether the server is up, which run holds the line and which runs wait for it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial status`."""
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the server's address, the run that holds the line and the runs that wait for it."""
    from flows.cli.project import find_project
    from flows.prefect_home import server_url
    from pipeline_lib.settings import load_settings
    from tasks.line_lock import holder_of_line, waiting_for_line

    origin = find_project(Path.cwd())
    state = load_settings(origin).state_folder(origin)
    server, holder, waiting = server_url(origin), holder_of_line(state), waiting_for_line(state)
    if options.json:
        print(json.dumps({"server": server, "line": holder, "waiting": waiting}))
        return 0
    print(f"server:  {server or 'not running (`perennial up` starts it)'}")
    print(f"line:    {f'run {holder} holds it' if holder else 'free'}")
    print(f"waiting: {', '.join(waiting) or 'none'}")
    return 0
