"""`perennial params`: describe every key of params.yaml."""

from __future__ import annotations

import argparse
import difflib
import json
from collections.abc import Sequence
from pathlib import Path

HELP = "describe every key of params.yaml: meaning, bounds, default and current value"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial params`."""
    parser.add_argument(
        "section",
        nargs="?",
        help="section or key to describe, such as train or train.epochs (default: all)",
    )
    parser.add_argument("--json", action="store_true", help="print the JSON schema instead")


def run(options: argparse.Namespace) -> int:
    """Print the keys. Raises UsageError for a section or key that does not exist."""
    from flows.cli.project import find_project
    from flows.fields import key_lines
    from pipeline_lib.errors import UsageError
    from pipeline_lib.files.yaml_files import read_yaml
    from pipeline_lib.params import LineParams
    from pipeline_lib.train.recipes import RECIPES

    sections = {
        field.alias or name: field.annotation for name, field in LineParams.model_fields.items()
    }
    section, _, key = (options.section or "").partition(".")
    if section and section not in sections:
        remedy = f"choose one of {', '.join(sections)}"
        raise UsageError("no such section", file="perennial params", value=section, remedy=remedy)
    wanted = {name: model for name, model in sections.items() if section in ("", name)}
    if options.json:
        print(
            json.dumps(
                {name: model.model_json_schema() for name, model in wanted.items() if model},
                indent=1,
            )
        )
        return 0
    present = read_yaml(find_project(Path.cwd()) / "params.yaml")
    recipe = RECIPES.get((present.get("train") or {}).get("recipe", "quick"))
    for name, model in wanted.items():
        otherwise = dict(recipe) if recipe and name == "train" else {}
        lines = key_lines(
            model, prefix=f"{name}.", present=present.get(name) or {}, otherwise=otherwise
        )
        print("\n".join(_about(options.section, lines) if key else lines))
    return 0


def _about(key: str, lines: Sequence[str]) -> list[str]:
    """The lines of one key, or of the keys below it. Raises UsageError where there is none, with the nearest."""
    from pipeline_lib.errors import UsageError

    found: dict[str, list[str]] = {}
    for line in lines:
        if not line.startswith(" "):
            name = line.partition(" ")[0]
            found[name] = []
        found[name].append(line)
    about = [
        line for name, said in found.items() if f"{name}.".startswith(f"{key}.") for line in said
    ]
    if not about:
        near = difflib.get_close_matches(key, found, n=1)
        remedy = f"choose {near[0]}" if near else "`perennial params SECTION` lists its keys"
        raise UsageError("no such key", file="perennial params", value=key, remedy=remedy)
    return about
