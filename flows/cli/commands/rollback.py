"""`perennial rollback`: make the previous champion, or another version, champion again."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "make the previous version champion again"
EPILOG = "The version that is rolled back stays in the registry. No run promotes it again; `perennial promote` can."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial rollback`."""
    parser.add_argument(
        "--to", metavar="REF", help="version number or alias (default: the previous champion)"
    )
    parser.add_argument(
        "--reason", required=True, help="reason, recorded with the version that is rolled back"
    )


def run(options: argparse.Namespace) -> int:
    """Roll back and print the new champion. Raises UsageError when there is no version to go back to."""
    from flows.cli.project import find_project
    from pipeline_lib.registry.registry import load_registry
    from pipeline_lib.settings import load_settings

    origin = find_project(Path.cwd())
    version = load_registry(load_settings(origin), origin).rollback(
        reason=options.reason, to=options.to
    )
    print(f"champion is version {version.number} again")
    return 0
