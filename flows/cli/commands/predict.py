"""`perennial predict IMAGE...`: classify images with the champion or another model."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_lib.predict import Model, Prediction

log = logging.getLogger(__name__)
HELP = "print a model's five most probable classes for each image"
EPILOG = "example: perennial predict --model builtin photo.jpg   (needs no training, no project and no network)"
BUILTIN, BUILTIN_DEFAULT = "builtin", "builtin:efficientnet_lite0"
PUBLISHED = ("torchvision:", "timm:")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial predict`."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image files")
    models = parser.add_mutually_exclusive_group()
    models.add_argument(
        "--model",
        metavar="REF",
        help="a version by number or alias (default: champion); the folder of an exported model (a path with a slash); "
        "`builtin`, a network of ImageNet's 1,000 classes that comes with set-up; or another published classifier, "
        "downloaded once: torchvision:ResNet50_Weights.IMAGENET1K_V2, timm:resnet50.a1_in1k",
    )
    models.add_argument("--version", metavar="REF", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")


def run(options: argparse.Namespace) -> int:
    """Print the labels; a file that cannot be read is named on stderr. Returns the exit code of the last such fault."""
    from pipeline_lib.predict import predict

    if options.version:
        log.warning(
            "--version is called --model now: `perennial predict --model %s`", options.version
        )
    code = 0
    for prediction in predict(
        options.images, _model(options.model or options.version or "champion")
    ):
        if prediction.fault:
            print(
                f"perennial predict: error[{prediction.fault.code}]: {prediction.fault}",
                file=sys.stderr,
            )
            code = prediction.fault.exit_code
        else:
            print(_as_json(prediction) if options.json else _as_text(prediction))
    return code


def _model(ref: str) -> Model:
    """Open a model. Raises UsageError or ConfigError when no model has this name, BadData when it is damaged, and
    SourceMissing when its weights cannot be fetched.
    """
    from pipeline_lib.backbones import builtin_backbone
    from pipeline_lib.errors import UsageError
    from pipeline_lib.predict import builtin_model, exported_model, published_model

    if ref.startswith(PUBLISHED):
        return published_model(ref)
    try:
        backbone = builtin_backbone(BUILTIN_DEFAULT if ref == BUILTIN else ref)
    except ValueError as error:
        raise UsageError(
            str(error), file="--model", value=ref, remedy="or write `--model builtin`"
        ) from error
    if backbone:
        return builtin_model(backbone)
    if os.sep in ref:
        return exported_model(Path(ref).expanduser())
    return exported_model(_registered(ref))


def _registered(ref: str) -> Path:
    """The export of a version. Raises UsageError, also outside of a project, with what else can be named."""
    from flows.cli.project import find_project
    from pipeline_lib.errors import UsageError
    from pipeline_lib.registry.registry import load_registry
    from pipeline_lib.settings import load_settings

    try:
        origin = find_project(Path.cwd())
        registry = load_registry(load_settings(origin), origin)
        return registry.export_folder(registry.version(ref))
    except UsageError as error:
        folder = f", or `--model ./{ref}`, the folder here" if Path(ref).is_dir() else ""
        remedy = f"{error.remedy}, or name `--model builtin`, which needs no training{folder}"
        raise UsageError(error.what, file=error.file, value=error.value, remedy=remedy) from error


def _as_json(prediction: Prediction) -> str:
    guesses = [
        {"class": guess.class_id, "name": guess.name, "p": round(guess.p, 6)}
        for guess in prediction.guesses
    ]
    return json.dumps({"file": str(prediction.file), "guesses": guesses})


def _as_text(prediction: Prediction) -> str:
    guesses = "  ".join(f"{guess.name} {100 * guess.p:.1f} %" for guess in prediction.guesses)
    return f"{prediction.file}: {guesses}"
