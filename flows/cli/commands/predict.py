"""`perennial predict IMAGE...`: classify images with the champion or another model."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_lib.safe_text import shown

if TYPE_CHECKING:
    from pipeline_lib.harness.work_in_order import Pause
    from pipeline_lib.predict import Model, Prediction
    from pipeline_lib.prediction.items import Item, Reader

log = logging.getLogger(__name__)
HELP = "print a model's most probable classes for each image"
EPILOG = """examples:
  perennial predict --model builtin photo.jpg          needs no training, no project and no network
  perennial predict photos more.zip --out all.csv      folders and archives; after a stop the same command goes on
  perennial predict s3://bucket/night/ --json          all images below a prefix
  find . -name '*.jpg' -print0 | perennial predict -0 -   answered as names come

docs/predict.md: what can be named, what rows hold, faults and exit codes"""
BUILTIN, BUILTIN_DEFAULT = "builtin", "builtin:efficientnet_lite0"
PUBLISHED = ("torchvision:", "timm:")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial predict`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="image files, folders (with all images below them), quoted patterns such as 'photos/**/*.jpg', archives "
        "(tar, tar.gz, zip), s3://BUCKET/KEY or a prefix there, gs://, az://, https://ADDRESS; `-`: names on standard input, "
        "one a line",
    )
    parser.add_argument(
        "-0",
        "--null",
        action="store_true",
        help="names on standard input end in a zero byte, as `find -print0` writes them",
    )
    models = parser.add_mutually_exclusive_group()
    models.add_argument(
        "--model",
        metavar="REF",
        help="a version by number or alias (default: champion); the folder of an exported model (a path with a slash); "
        "`builtin`, a network of ImageNet's 1,000 classes that comes with set-up; or another published classifier, "
        "downloaded once: torchvision:ResNet50_Weights.IMAGENET1K_V2, timm:resnet50.a1_in1k",
    )
    models.add_argument("--version", metavar="REF", help=argparse.SUPPRESS)
    parser.add_argument(
        "--top", type=_number, default=5, metavar="N", help="number of classes (default: 5)"
    )
    parser.add_argument(
        "--min-p",
        type=_share,
        metavar="P",
        help="call an image uncertain if its best class has a probability below P, 0 to 1",
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object per line, also for an image that cannot be read",
    )
    forms.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write a .csv, .jsonl or .parquet file; if a run is stopped, the same command goes on where it was",
    )


def run(options: argparse.Namespace) -> int:
    """Print the labels, or write them to --out. An image that cannot be read is named; the last such fault is the exit code.

    Raises UsageError for what names no image or an --out that cannot be written, and what opening the model raises.
    """
    if options.version:
        log.warning(
            "--version is called --model now: `perennial predict --model %s`", options.version
        )
    with contextlib.closing(_reader()) as reader:
        return _predict(options, reader)


def _predict(options: argparse.Namespace, reader: Reader) -> int:
    from pipeline_lib.prediction.inputs import named_items, refuse_empty
    from pipeline_lib.prediction_rows import check_out

    refuse_empty(options.images, reader)
    if options.out:
        check_out(options.out)
    model = _model(options.model or options.version or "champion")
    if model.no_unlike:
        log.warning("no image is called unlike the training images: %s", model.no_unlike)
    items = named_items(options.images, reader, stdin=0, nul=options.null)
    return (_write if options.out else _print)(items, model, reader, options)


def _reader() -> Reader:
    """The settings and the limits on archives of the project here, if there is one."""
    from flows.cli.project import find_project
    from pipeline_lib.download.params import DownloadParams
    from pipeline_lib.errors import UsageError
    from pipeline_lib.params_file import load_section
    from pipeline_lib.prediction.items import Reader
    from pipeline_lib.settings import load_settings

    try:
        origin = find_project(Path.cwd())
    except UsageError:
        return Reader(load_settings(Path.cwd()), DownloadParams().archive_limits())
    params = load_section(origin / "params.yaml", "download", DownloadParams)
    return Reader(load_settings(origin), params.archive_limits())


def _print(
    items: Iterator[Item | Pause], model: Model, reader: Reader, options: argparse.Namespace
) -> int:
    from pipeline_lib.predict import predict_items
    from pipeline_lib.prediction_rows import RowRules, as_row

    rules = RowRules(model.identity, options.top, options.min_p)
    code = 0
    for prediction in predict_items(items, model, reader, best=options.top):
        if prediction.fault:
            code = prediction.fault.exit_code
        if options.json:
            print(json.dumps(as_row(prediction, rules)), flush=True)
        elif prediction.fault:
            print(shown(_fault(prediction.fault.code, str(prediction.fault))), file=sys.stderr)
        else:
            print(_as_text(prediction, options.min_p), flush=True)
    return code


def _write(
    items: Iterator[Item | Pause], model: Model, reader: Reader, options: argparse.Namespace
) -> int:
    from pipeline_lib.harness.progress import progress
    from pipeline_lib.predict import predict_items
    from pipeline_lib.prediction_rows import RowFile, RowRules

    rows = RowFile(options.out, RowRules(model.identity, options.top, options.min_p))
    left = rows.fresh(items)
    with progress("predict", "images", None, reader.settings) as step:
        rows.add(_counted(predict_items(left, model, reader, best=options.top), step))
    done = rows.finish()
    again = f", {done.n_again} of them by an earlier run" if done.n_again else ""
    print(f"wrote {options.out}: {done.n_images} images{again}")
    if done.n_dropped:
        log.warning(
            "%d rows of an earlier run were left out: their images are not named now",
            done.n_dropped,
        )
    if not done.fault:
        return 0
    print(shown(_fault(done.fault["code"], done.fault["message"])), file=sys.stderr)
    return int(done.fault["exit_code"])


def _counted(
    predictions: Iterable[Prediction], step: Callable[[int], object]
) -> Iterator[Prediction]:
    for prediction in predictions:
        yield prediction
        step(1)


def _fault(code: str, message: str) -> str:
    return f"perennial predict: error[{code}]: {message}"


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number between 0 and 1")
    return share


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


def _as_text(prediction: Prediction, min_p: float | None) -> str:
    guesses = "  ".join(f"{guess.name} {100 * guess.p:.1f} %" for guess in prediction.guesses)
    is_uncertain = min_p is not None and prediction.guesses[0].p < min_p
    said = f"uncertain ({guesses})" if is_uncertain else guesses
    return f"{prediction.name}: {said}{_unlike_as_text(prediction)}"


def _unlike_as_text(prediction: Prediction) -> str:
    """A remark on an image unlike those that the model was trained on; "" for others."""
    if prediction.unlike is None or not prediction.is_unlike:
        return ""
    # Rounded down, and not by binary fractions: 1 - 0.05 is less than 0.95.
    percent = int(100 - round(100 * prediction.unlike, 6))
    return f"  unlike the images it was trained on (more than {percent} % of the validation images)"
