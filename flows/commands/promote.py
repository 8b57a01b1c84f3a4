"""`perennial promote REF`: a person's word makes a version champion."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "make a version champion on your own word"
EPILOG = "For a challenger that the gate held, or a version that was rolled back. The next model is compared with it."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `perennial promote`."""
    parser.add_argument("ref", metavar="REF", help="a version number or an alias, such as challenger")
    parser.add_argument("--reason", required=True, help="why, kept with the version")


def run(options: argparse.Namespace) -> int:
    """Promote and print the version in use now. Raises UsageError for an unknown version or without a reason."""
    from flows.project import find_project
    from pipeline_lib.registry.registry import open_registry
    from pipeline_lib.settings import load_settings

    origin = find_project(Path.cwd())
    version = open_registry(load_settings(origin), origin).promote(options.ref, reason=options.reason)
    print(f"champion is version {version.number}")
    return 0
