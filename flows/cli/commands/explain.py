"""`perennial explain IMAGE...`: a page that shows why a model gives images their classes."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_lib.safe_text import shown

if TYPE_CHECKING:
    from pipeline_lib.explain.explanation import Explanation, TrainedModel
    from pipeline_lib.explain.neighbours import TrainingImages

HELP = "write a page that shows where in an image the evidence for a class lies, and which training images are like it"
EPILOG = (
    "example: perennial explain photo.jpg --class cat   (docs/explain.md says how to read the page)"
)
FOLDER = "explained"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial explain`."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image files")
    parser.add_argument(
        "--model",
        default="champion",
        metavar="REF",
        help="a version by number or alias (default: champion), or the folder of an exported model (a path with a slash)",
    )
    parser.add_argument(
        "--class",
        dest="of_class",
        metavar="C",
        help="class whose evidence is shown, by name or id (default: the class that the model answers with)",
    )
    parser.add_argument(
        "--layer",
        dest="layers",
        action="append",
        default=[],
        metavar="NAME",
        help="layer whose feature maps are shown, as the network calls it; may be given again "
        "(default: the last layer of each size of cells)",
    )
    parser.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        help=f"new folder for the page and its PNG files (default: a new one below .perennial/{FOLDER})",
    )


def run(options: argparse.Namespace) -> int:
    """Print the path of the page. A file that is no usable image is named and left out; the last fault is the exit code.

    Raises UsageError for an unknown model or class, or a folder that holds anything, and what opening the model raises.
    """
    from pipeline_lib.errors import PipelineError
    from pipeline_lib.explain.page import check_target, write_explanations
    from pipeline_lib.predict import see_each

    target = check_target(options.to) if options.to else None
    model, training, no_neighbours = _model(options.model)
    class_id = _class_id(options.of_class, model)
    found: list[Explanation] = []
    code = 0
    files = [image.expanduser() for image in dict.fromkeys(options.images)]
    for file, seen in zip(files, see_each(files, model.sight), strict=True):
        try:
            if isinstance(seen, PipelineError):
                raise seen
            explained = model.explain(
                file, seen, class_id=class_id, layers=options.layers, training=training
            )
            found.append(explained)
        except PipelineError as fault:
            if not _is_of_the_image(fault):
                raise
            code = fault.exit_code
            print(shown(f"perennial explain: error[{fault.code}]: {fault}"), file=sys.stderr)
    if not found:
        return code
    page = write_explanations(
        found,
        target or _new_folder(),
        name=options.model,
        model=model,
        training=training,
        no_neighbours=no_neighbours,
    )
    for one in found:
        best = one.guesses[0]
        print(shown(f"{one.file}: {best.name} {100 * best.p:.1f} %"), file=sys.stderr)
    print(page)
    return code


def _is_of_the_image(fault: Exception) -> bool:
    """Whether another image may still be explained."""
    from pipeline_lib.errors import BadData, SourceMissing

    return isinstance(fault, BadData | SourceMissing)


def _class_id(wanted: str | None, model: TrainedModel) -> str | None:
    from flows.cli.class_names import class_id_of

    about = model.about
    return wanted and class_id_of(wanted, "--class", ids=about.classes, names=about.names)


def _model(ref: str) -> tuple[TrainedModel, TrainingImages | None, str]:
    """The model, its training images, and why there are none."""
    from flows.cli.project import find_project
    from pipeline_lib.errors import SourceMissing
    from pipeline_lib.explain.explanation import open_trained
    from pipeline_lib.explain.neighbours import training_images
    from pipeline_lib.registry.registry import load_registry
    from pipeline_lib.settings import load_settings

    if os.sep in ref:
        folder = Path(ref).expanduser()
        return open_trained(folder), None, "An exported folder names no training images."
    origin = find_project(Path.cwd())
    registry = load_registry(load_settings(origin), origin)
    version = registry.version(ref)
    model = open_trained(registry.export_folder(version))
    try:
        return model, training_images(version.closure, registry.cache, origin), ""
    except (
        SourceMissing
    ) as fault:  # the data of old versions may be gone from the cache, its weights not
        print(f"perennial explain: without training images: {shown(str(fault))}", file=sys.stderr)
        return model, None, "The tables of this version's training images are not in DVC's cache."


def _new_folder() -> Path:
    """explained/1, explained/2, ... in the state folder of the project; outside of one, in the current folder."""
    from flows.cli.project import find_project
    from pipeline_lib.errors import UsageError
    from pipeline_lib.settings import load_settings

    try:
        origin = find_project(Path.cwd())
        above = load_settings(origin).state_folder(origin) / FOLDER
    except UsageError:
        above = Path.cwd() / FOLDER
    taken = [int(one.name) for one in above.glob("*") if one.name.isdecimal()]
    return above / str(max(taken, default=0) + 1)
