"""`perennial predict IMAGE...`: classify images with the champion."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_lib.predict import Prediction

HELP = "print the champion's five most probable classes for each image"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial predict`."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image files")
    parser.add_argument(
        "--version", default="champion", metavar="REF", help="version number or alias to use (default: champion)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")


def run(options: argparse.Namespace) -> int:
    """Print the labels; a file that cannot be read is named on stderr. Returns the exit code of the last such fault."""
    from flows.cli.project import find_project
    from pipeline_lib.predict import predict
    from pipeline_lib.registry.registry import open_registry
    from pipeline_lib.settings import load_settings

    origin = find_project(Path.cwd())
    registry = open_registry(load_settings(origin), origin)
    folder = registry.export_folder(registry.version(options.version))
    code = 0
    for prediction in predict(options.images, folder):
        if prediction.fault:
            print(f"perennial predict: error[{prediction.fault.code}]: {prediction.fault}", file=sys.stderr)
            code = prediction.fault.exit_code
        else:
            print(_as_json(prediction) if options.json else _as_text(prediction))
    return code


def _as_json(prediction: Prediction) -> str:
    guesses = [{"class": guess.class_id, "name": guess.name, "p": round(guess.p, 6)} for guess in prediction.guesses]
    return json.dumps({"file": str(prediction.file), "guesses": guesses})


def _as_text(prediction: Prediction) -> str:
    guesses = "  ".join(f"{guess.name} {100 * guess.p:.1f} %" for guess in prediction.guesses)
    return f"{prediction.file}: {guesses}"
