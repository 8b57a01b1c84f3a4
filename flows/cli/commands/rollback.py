"""`perennial rollback`: the previous champion, or another version, is champion again."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "make the previous champion champion again"
EPILOG = (
    "The version that is rolled back stays in the registry and is not promoted again by a run; `perennial promote` can."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial rollback`."""
    parser.add_argument("--to", metavar="REF", help="a version number (default: the champion before this one)")
    parser.add_argument("--reason", required=True, help="why, kept with the version that is rolled back")


def run(options: argparse.Namespace) -> int:
    """Roll back and print the version in use now. Raises UsageError when there is none to go back to."""
    from flows.cli.project import find_project
    from pipeline_lib.registry.registry import open_registry
    from pipeline_lib.settings import load_settings

    origin = find_project(Path.cwd())
    version = open_registry(load_settings(origin), origin).rollback(reason=options.reason, to=options.to)
    print(f"champion is version {version.number} again")
    return 0
