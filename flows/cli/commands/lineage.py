"""`perennial lineage [REF]`: the origin of a model or a file."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "print what a model or a file was made from, with hashes, and what was made from it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial lineage`."""
    parser.add_argument(
        "ref",
        nargs="?",
        default="champion",
        help="a version number, an alias, a file of the line or an md5 (default: champion)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print as JSON")
    form.add_argument("--mermaid", action="store_true", help="print as a mermaid flow chart")


def run(options: argparse.Namespace) -> int:
    """Print the chain. Raises UsageError when nothing of that name is known."""
    from flows.cli.project import find_project
    from pipeline_lib.lineage import as_json, as_mermaid, as_text, lineage_of
    from pipeline_lib.settings import load_settings

    origin = find_project(Path.cwd())
    lineage = lineage_of(options.ref, checkout=origin, settings=load_settings(origin))
    show = as_json if options.json else as_mermaid if options.mermaid else as_text
    print(show(lineage))
    return 0
