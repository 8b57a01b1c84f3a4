"""`perennial init`: write params.yaml for your own images, and reset files that describe other data."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_lib.params import LineParams
    from pipeline_lib.settings import Settings
    from pipeline_lib.survey import AtHand, Survey

HELP = "survey your images and write params.yaml for them"
EPILOG = "Nothing is copied, changed or trained yet."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial init`."""
    parser.add_argument(
        "source", help="your images: a folder, an archive (tar, zip) or s3://bucket/prefix"
    )
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="CSV file with the class of each image (columns such as filename,label)",
    )
    parser.add_argument(
        "--layout",
        metavar="NAME",
        help="how folders give class and split: class_folders, split_class_folders, class_split_folders, leaf_folders, "
        "split_leaf_folders or flat; by default it is found from the folders, and you are asked if in doubt",
    )
    parser.add_argument(
        "--name",
        default="pictures",
        help="name of the source, the first part of every image id (default: pictures)",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="weights to start from: builtin:efficientnet_lite0, a file, "
        "torchvision:ResNet18_Weights.IMAGENET1K_V1 (downloaded once, when training starts) or registered:VERSION; "
        "by default weights in torch's cache (TORCH_HOME), if there are any, for up to 20,000 photographs",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="overwrite a params.yaml with uncommitted edits, and text that people wrote in curation/ for earlier data",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print params.yaml instead of writing it"
    )


def run(options: argparse.Namespace) -> int:
    """Survey the source, write params.yaml, and reset the files that describe earlier data.

    Raises UsageError where edits would be lost, and the errors of listing the source.
    """
    from flows.cli.project import find_project, inside
    from flows.cli.reading_folders import survey_without_doubt
    from flows.cli.starting_anew import refuse_to_lose_words, start_files, start_model_name
    from pipeline_lib.files.atomic import write_text
    from pipeline_lib.settings import load_settings
    from pipeline_lib.survey import (
        advise,
        decision_on_address,
        describe,
        new_data,
        no_longer_read,
        renewals,
    )
    from tasks.snapshot import uncommitted

    os.environ.setdefault(
        "OMP_WAIT_POLICY", "PASSIVE"
    )  # as the stage harness does, so that the trial measures its speed
    origin = find_project(Path.cwd())
    params = origin / "params.yaml"
    loses_nothing = options.force or options.dry_run or not params.exists()
    edited = () if loses_nothing else uncommitted(origin)
    _refuse_to_lose(params, edited)
    uri = options.source if "://" in options.source else inside(origin, options.source)
    settings = load_settings(origin)
    found = survey_without_doubt(
        uri, settings, origin, layout=options.layout, labels=options.labels
    )
    at_hand = _weights(options.weights, found, settings, origin)
    advice = advise(found, name=options.name, at_hand=at_hand, is_named=options.weights is not None)
    data = new_data(found, options.name, origin)
    text = decision_on_address(advice.params, data)
    if options.dry_run:
        print(text, end="")
        return 0
    anew = renewals(origin, data)
    if not options.force:
        refuse_to_lose_words(anew, edited)
    checked = _checked(params, text)
    started = start_files(origin, anew)
    model, renamed = start_model_name(origin, data, settings, weights=options.weights)
    write_text(
        params, text
    )  # last: after a kill before this line, the same data still count as new
    print(describe(found))
    for refused in at_hand.refused:
        print(f"note     {refused}")
    print(f"features {advice.features}")
    print(f"recipe   {advice.recipe}: {advice.reason}")
    print(_what_it_takes(found, checked, settings, origin))
    print(f"\nwrote    {params}")
    for line in [
        *started,
        model,
        *(f"note     {votes} is no longer read" for votes in no_longer_read(data)),
    ]:
        print(line)
    print(_what_comes(found, ["params.yaml", *(one.file for one in anew), *renamed]))
    return 0


def _checked(params: Path, text: str) -> LineParams:
    """Check the text of params.yaml before it is written. Raises ConfigError, for instance for a bad source name."""
    from ruamel.yaml import YAML

    from pipeline_lib.params import check_params

    return check_params(params, YAML(typ="safe", pure=True).load(text))


def _weights(named: str | None, found: Survey, settings: Settings, origin: Path) -> AtHand:
    """Return the named weights, else those in torch's cache. Raises as `named_weights` does."""
    from flows.cli.project import inside
    from pipeline_lib.survey import AtHand, cached_weights, gains_from_weights, named_weights

    n_classes = len(found.classes)
    if named is None:
        return cached_weights(n_classes) if gains_from_weights(found) else AtHand(None)
    name = named if ":" in named else inside(origin, named)
    return named_weights(name, settings, root=origin, n_classes=n_classes)


def _what_it_takes(found: Survey, params: LineParams, settings: Settings, origin: Path) -> str:
    import shutil

    from pipeline_lib.survey import describe_estimate, scale, try_out

    trial = try_out(found, params, settings)
    if trial is None:
        return "time     unknown: none of the sampled images could be decoded"
    estimate = scale(trial, found, params, workers=settings.worker_count())
    free_bytes = shutil.disk_usage(origin).free
    return describe_estimate(estimate, free_bytes=free_bytes, is_remote="://" in found.uri)


def _refuse_to_lose(params: Path, edited: Collection[str]) -> None:
    from pipeline_lib.errors import UsageError

    if params.name in edited:
        remedy = "commit them (`git commit params.yaml -m params`), or run `perennial init --force`"
        raise UsageError(
            "it has uncommitted edits, which would be lost", file=params, remedy=remedy
        )


def _what_comes(found: Survey, written: Sequence[str]) -> str:
    return (
        "next     look at params.yaml, then `dvc repro` (here) or `perennial run` (in a separate workspace):\n"
        f"         {found.n_images} images are read where they are, packed into shards, decoded, checked and split,\n"
        "         and a model is trained, evaluated and registered.\n"
        "         A deployed run (`perennial up`) uses committed files only, so first:\n"
        f"         git add {' '.join(written)} && git commit -m 'New data'"
    )
