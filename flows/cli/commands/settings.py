"""`perennial settings`: describe every setting."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "describe every key of settings.toml: meaning, default and current value"
EPILOG = "Each key can also be set in the environment, as in PERENNIAL_WORKERS=4. Changing a setting re-runs nothing."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial settings`."""
    parser.add_argument("--json", action="store_true", help="print the current values as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the keys. Raises ConfigError for a wrong setting."""
    from flows.cli.project import find_project
    from flows.fields import key_lines
    from pipeline_lib.settings import Settings, load_settings

    settings = load_settings(find_project(Path.cwd())).model_dump(
        mode="json", exclude_unset=not options.json
    )
    print(
        json.dumps(settings, indent=1)
        if options.json
        else "\n".join(key_lines(Settings, prefix="", present=settings))
    )
    return 0
