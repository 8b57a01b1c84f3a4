"""`perennial init`: write params.yaml for your own images, and reset files that describe other data."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_lib.safe_text import shown

if TYPE_CHECKING:
    from pipeline_lib.params import LineParams
    from pipeline_lib.settings import Settings
    from pipeline_lib.survey import Advice, Survey, WeightChoice

HELP = "survey your images and write params.yaml for them"
SHOWN = 5
EPILOG = "Nothing is copied, changed or trained yet."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial init`."""
    parser.add_argument(
        "source",
        help="images: a folder, an archive (tar, zip), s3://bucket/prefix, gs://, az://, https://host/set.zip, a list of URLs",
    )
    parser.add_argument("others", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="file with the class of each image: a table (CSV, TSV, JSON, JSON Lines, Parquet) with columns such as "
        "filename,label, or annotations (COCO, VOC, lists); folders: the folders tell the classes; by default files of "
        "labels are recognised, and you are asked if in doubt",
    )
    parser.add_argument(
        "--label-column",
        metavar="NAME",
        help="column, key or file extension that holds the class, if several may",
    )
    parser.add_argument(
        "--several",
        choices=("largest", "leave_out", "combined"),
        help="class of an image with several, or with annotated objects of several: that of the largest box, none, or each "
        "combination as a class of its own",
    )
    parser.add_argument(
        "--layout",
        metavar="NAME",
        help="how folders give class and split: class_folders, split_class_folders, class_split_folders, leaf_folders, "
        "split_leaf_folders, path_folders or flat; by default it is found from the folders, and you are asked if in doubt",
    )
    parser.add_argument(
        "--splits",
        metavar="FOLDER=SPLIT,...",
        help="what folders, or the texts of --split-from, stand for, such as fold0=train,fold1=val,fold2=test",
    )
    parser.add_argument(
        "--depth",
        metavar="N",
        type=int,
        help="number of folders above the first that names a split or class: 2 for data/2024/cat/1.jpg",
    )
    parser.add_argument(
        "--class-from",
        metavar="PATTERN",
        help="class by the images' names: '{class}_*' for cat_003.jpg, '{class}-*.png', or '{split}/{class}/*', which reads "
        "the split too; * is any text, ? one character, and folders are counted from the image upwards",
    )
    parser.add_argument(
        "--split-from",
        metavar="PATTERN",
        help="split by the images' names, such as '*_{split}' for 0017_val.jpg",
    )
    parser.add_argument(
        "--include",
        metavar="PATTERN",
        action="append",
        help="take these files only, as in .gitignore: 'photos', '*.jpg', '/a/*/b' (repeatable)",
    )
    parser.add_argument(
        "--exclude",
        metavar="PATTERN",
        action="append",
        help="leave these files out: 'masks' (a folder or file anywhere), '/docs' (from the top), '*_mask.png' (repeatable); "
        "none: leave out nothing, not even masks that lie beside their images",
    )
    parser.add_argument(
        "--name",
        default="pictures",
        help="name of the source, the first part of every image id (default: pictures)",
    )
    parser.add_argument(
        "--subject",
        metavar="PATTERN",
        help="what tells that images show one person, object or burst, so that they stay in one split: a pattern of names "
        "such as '{subject}_*' or '{subject}/*', a column of --labels, or none; by default you are asked where names "
        "suggest it",
    )
    parser.add_argument(
        "--extra-test",
        metavar="NAME=PATH",
        action="append",
        default=[],
        help="an extra test set, scored apart and never trained on (repeatable; docs/shift.md)",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="weights to start from: builtin, torchvision:ResNet18_Weights.IMAGENET1K_V1 or timm:NAME (downloaded once, when "
        "the first stage starts that needs them; curation compares images by them too), a file or registered:VERSION; by "
        "default, for up to 100,000 photographs, those that set-up installed, or better ones in torch's cache (TORCH_HOME)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="overwrite a params.yaml with uncommitted edits, and text that people wrote in curation/ for earlier data",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="write nothing; print params.yaml, and the survey to stderr",
    )


def run(options: argparse.Namespace) -> int:
    """Survey the source, write params.yaml, and reset the files that describe earlier data.

    Raises UsageError where edits would be lost, and the errors of listing the source.
    """
    from flows.cli.asking import said_of_names, survey_and_ask
    from flows.cli.extra_tests import survey_extra_test
    from flows.cli.own_edits import refuse_to_lose_edits, write_params
    from flows.cli.project import find_project, inside
    from flows.cli.starting_anew import refuse_to_lose_words, start_files, start_model_name
    from pipeline_lib.errors import UsageError
    from pipeline_lib.harness.terminal import live
    from pipeline_lib.settings import load_settings
    from pipeline_lib.survey import (
        advise,
        decision_on_address,
        in_words,
        new_data,
        no_longer_read,
        renewals,
        with_extra_tests,
    )
    from tasks.snapshot import uncommitted

    if options.others:
        remedy = "name one; add the others to discover.sources in params.yaml (docs/operations.md, Several sources)"
        raise UsageError("init surveys one source", file=options.others[0], remedy=remedy)
    os.environ.setdefault(
        "OMP_WAIT_POLICY", "PASSIVE"
    )  # as the stage harness does, so that the trial measures its speed
    origin = find_project(Path.cwd())
    params = origin / "params.yaml"
    settings = load_settings(origin)
    loses_nothing = options.force or options.dry_run or not params.exists()
    edited = () if loses_nothing else uncommitted(origin)
    if params.name in edited:
        refuse_to_lose_edits(params, settings)
    uri = options.source if "://" in options.source else inside(origin, options.source)
    found = survey_and_ask(
        uri,
        settings,
        origin,
        said_of_names(options),
        labels=options.labels,
        subject=options.subject,
        label_column=options.label_column,
        several=options.several,
    )
    tests = [survey_extra_test(given, settings, origin) for given in options.extra_test]
    with live("look for weights to start from"):
        choice = _weights(options.weights, found, settings, origin)
    advice = advise(found, name=options.name, choice=choice, is_named=options.weights is not None)
    data = new_data(found, options.name, origin)
    text = decision_on_address(with_extra_tests(advice.params, tests), data)
    checked = _checked(params, text)
    said = _survey_in_words(found, choice, advice, checked, settings, origin)
    said = "\n".join([said, *(line for one in tests for line in in_words(one, found))])
    if options.dry_run:
        print(shown(said), file=sys.stderr)
        print(text, end="")
        return 0
    anew = renewals(origin, data)
    if not options.force:
        refuse_to_lose_words(anew, edited)
    started = start_files(origin, anew)
    model, renamed = start_model_name(origin, data, settings, weights=options.weights)
    # Last: after a kill before this line, the same data still count as new.
    write_params(params, text, settings)
    print(f"{said}\n\nwrote    {params}")
    for line in [
        *started,
        model,
        *(f"note     {votes} is no longer read" for votes in no_longer_read(data, found)),
    ]:
        print(line)
    print(_what_comes(found, ["params.yaml", *(one.file for one in anew), *renamed]))
    return 0


def _survey_in_words(
    found: Survey,
    choice: WeightChoice,
    advice: Advice,
    params: LineParams,
    settings: Settings,
    origin: Path,
) -> str:
    """What was recognised and chosen, and what it will cost."""
    from pipeline_lib.survey import describe

    return "\n".join(
        [
            describe(found),
            *(f"note     {note}" for note in _on_splits(advice)),
            *(f"note     {note}" for note in choice.notes),
            f"features {advice.features}",
            f"recipe   {advice.recipe}: {advice.reason}",
            _what_it_takes(found, params, settings, origin),
        ]
    )


def _on_splits(advice: Advice) -> list[str]:
    """What so few subjects leave empty."""
    if not advice.lacking:
        return []
    more = ", ..." if len(advice.lacking) > SHOWN else ""
    without = ", ".join(advice.lacking[:SHOWN]) + more
    return [f"There are too few subjects to fill every split; nothing is left for: {without}."]


def _checked(params: Path, text: str) -> LineParams:
    """Check the text of params.yaml before it is written. Raises ConfigError, for instance for a bad source name."""
    from ruamel.yaml import YAML

    from pipeline_lib.params import check_params

    return check_params(params, YAML(typ="safe", pure=True).load(text))


def _weights(named: str | None, found: Survey, settings: Settings, origin: Path) -> WeightChoice:
    """Return the named weights, else the best on this machine. Raises as `named_weights` does."""
    from flows.cli.project import inside
    from pipeline_lib.survey import (
        WeightChoice,
        choose_weights,
        gains_from_weights,
        named_weights,
    )

    n_classes = len(found.classes)
    if named is None:
        is_better = gains_from_weights(found)
        return choose_weights(settings, n_classes) if is_better else WeightChoice(None)
    name = named if ":" in named or named == "builtin" else inside(origin, named)
    return named_weights(name, settings, root=origin, n_classes=n_classes)


def _what_it_takes(found: Survey, params: LineParams, settings: Settings, origin: Path) -> str:
    import shutil

    from pipeline_lib.harness.terminal import live
    from pipeline_lib.survey import describe_estimate, scale, try_out

    with live("try some images and a training step"):
        trial = try_out(found, params, settings)
    if trial is None:
        return "time     unknown: none of the sampled images could be decoded"
    estimate = scale(trial, found, params, workers=settings.worker_count())
    free_bytes = shutil.disk_usage(origin).free
    return describe_estimate(estimate, free_bytes=free_bytes, is_remote="://" in found.uri)


def _what_comes(found: Survey, written: Sequence[str]) -> str:
    if found.is_complete and not found.classes:
        return (
            "next     give the images classes (see the note), then run `perennial init` again; as it is the line ends at\n"
            "         `curate`, for want of labels. A votes file is named in params.yaml (docs/labels.md)"
        )
    return (
        "next     look at params.yaml, then `dvc repro` (here) or `perennial run` (in a separate workspace):\n"
        f"         {found.n_images} images are read where they are, packed into shards, decoded, checked and split,\n"
        "         and a model is trained, evaluated and registered.\n"
        "         A deployed run (`perennial up`) uses committed files only, so first:\n"
        f"         git add {' '.join(written)} && git commit -m 'New data'"
    )
