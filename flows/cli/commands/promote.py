"""`perennial promote REF`: make a version champion or reference by a person's decision."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "make a version champion or reference by your own decision"
EPILOG = (
    "Use it for a challenger that the gate held or that waits for a person (`register.approval: person`), or for a "
    "version that was rolled back. The next model is compared with the new champion. `--as reference` pins the model "
    "that no champion may fall far behind (docs/gate.md)."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `perennial promote`."""
    parser.add_argument(
        "ref", metavar="REF", help="a version number or an alias, such as challenger"
    )
    parser.add_argument(
        "--as",
        dest="alias",
        choices=("champion", "reference"),
        default="champion",
        help="alias to give to the version (default: champion)",
    )
    parser.add_argument(
        "--reason", required=True, help="reason for the decision, recorded with the version"
    )


def run(options: argparse.Namespace) -> int:
    """Promote or pin, and print champion and reference. Raises UsageError for an unknown version or empty reason."""
    from flows.cli.project import find_project
    from pipeline_lib.registry.registry import load_registry
    from pipeline_lib.settings import load_settings

    origin = find_project(Path.cwd())
    registry = load_registry(load_settings(origin), origin)
    if options.alias == "reference":
        print(f"reference is version {registry.pin(options.ref, reason=options.reason).number}")
        return 0
    before = registry.champion()
    version = registry.promote(options.ref, reason=options.reason)
    print(f"champion is version {version.number}")
    compared = version.verdict.comparison
    if compared and before and compared.champion_version != before.number:
        print(
            f"its verdict compares it with version {compared.champion_version}, "
            f"not with version {before.number}, which was champion until now"
        )
    reference = registry.reference()
    if reference is not None and reference.number != version.number:
        print(
            f"reference is still version {reference.number}, which no new model may be far behind; "
            f"`perennial promote {version.number} --as reference --reason TEXT` moves it"
        )
    return 0
