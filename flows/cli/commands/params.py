"""`perennial params`: describe every key of params.yaml."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "describe every key of params.yaml: meaning, bounds, default and current value"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial params`."""
    parser.add_argument(
        "section", nargs="?", help="section to describe, such as train (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="print the JSON schema instead")


def run(options: argparse.Namespace) -> int:
    """Print the keys. Raises UsageError for a section that does not exist."""
    from flows.cli.project import find_project
    from flows.fields import key_lines
    from pipeline_lib.errors import UsageError
    from pipeline_lib.files.yaml_files import read_yaml
    from pipeline_lib.params import LineParams
    from pipeline_lib.train.recipes import RECIPES

    sections = {
        field.alias or name: field.annotation for name, field in LineParams.model_fields.items()
    }
    if options.section and options.section not in sections:
        remedy = f"choose one of {', '.join(sections)}"
        raise UsageError(
            "no such section", file="perennial params", value=options.section, remedy=remedy
        )
    wanted = {name: model for name, model in sections.items() if options.section in (None, name)}
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
        print(
            "\n".join(
                key_lines(
                    model, prefix=f"{name}.", present=present.get(name) or {}, otherwise=otherwise
                )
            )
        )
    return 0
