"""`perennial init`: write params.yaml for your own images, and reset files that describe other data."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_lib.safe_text import shown

if TYPE_CHECKING:
    from pipeline_lib.params import LineParams
    from pipeline_lib.settings import Settings
    from pipeline_lib.survey import Advice, Survey, SurveyedSource, WeightChoice

HELP = "survey your images and write params.yaml for them"
SHOWN = 5
EPILOG = "Nothing is copied, changed or trained yet."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial init`."""
    parser.add_argument(
        "source",
        nargs="*",
        metavar="[NAME=]PLACE",
        help="labelled images: a folder, an archive (tar, zip), s3://bucket/prefix, gs://, az://, https://host/set.zip, a list "
        "of URLs; of several places, classes of one name are one class. The options below hold for each of them",
    )
    parser.add_argument(
        "--unlabelled",
        metavar="[NAME=]PLACE",
        action="append",
        default=[],
        help="images without a class, to be labelled in the order of the review queue (repeatable)",
    )
    parser.add_argument(
        "--extra-test",
        metavar="[NAME=]PLACE",
        action="append",
        default=[],
        help="an extra test set, scored apart and never trained on (repeatable; docs/shift.md)",
    )
    parser.add_argument(
        "--add",
        action="store_true",
        help="keep all sources of params.yaml that are not named, also where these are other data",
    )
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
        "--split-values",
        metavar="TEXT=SPLIT,...",
        help="what the cells of a table's column of splits stand for, such as 0=train,1=val,2=test",
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
        help="name of the source, the first part of every image id (default: its name in params.yaml, or pictures; of several "
        "places, the last part of each)",
    )
    parser.add_argument(
        "--subject",
        metavar="PATTERN",
        help="what tells that images show one person, object or burst, so that they stay in one split: a pattern of names "
        "such as '{subject}_*' or '{subject}/*', a column of --labels, or none; by default you are asked where names "
        "suggest it",
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
    """Survey the sources, write params.yaml, and reset the files that describe earlier data.

    Raises UsageError where edits would be lost, and the errors of listing a source.
    """
    from flows.cli.own_edits import refuse_to_lose_edits, replaced_edits, write_params
    from flows.cli.project import find_project
    from flows.cli.sources_named import (
        kept_sources,
        named_sources,
        no_labelled,
        what_happens,
    )
    from flows.cli.starting_anew import refuse_to_lose_words, start_files, start_model_name
    from flows.cli.surveying import survey_kept, survey_named
    from pipeline_lib.harness.terminal import live
    from pipeline_lib.settings import load_settings
    from pipeline_lib.survey import (
        advise,
        decision_on_address,
        earlier_sources,
        is_other_data,
        new_data,
        no_longer_read,
        pooled,
        renewals,
    )
    from tasks.snapshot import uncommitted

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
    earlier = earlier_sources(params)
    named = named_sources(options, earlier, origin)
    if not options.source and not (options.add and any(one.role is None for one in earlier)):
        raise no_labelled()

    # What the command line names, then what stays of params.yaml; images that are learnt from are looked at in both.
    surveyed = [survey_named(one, options, settings, origin, earlier) for one in named]
    labelled = [one for one in surveyed if one.role is None]
    is_new = not options.add and is_other_data(labelled, earlier, origin)
    kept = [] if is_new else kept_sources(named, earlier, origin)
    labelled += [survey_kept(one, settings, origin) for one in kept if one.role is None]
    found, first = pooled(labelled), labelled[0]

    with live("look for weights to start from"):
        choice = _weights(options.weights, found, settings, origin)
    advice = advise(
        first.found,
        name=first.name,
        choice=choice,
        is_named=options.weights is not None,
        others=labelled[1:],
        entries=_in_order(
            {one.name: one.entry for one in surveyed} | {one.name: one.text for one in kept},
            [one.name for one in earlier],
        ),
    )
    data = new_data(labelled, earlier, is_new=is_new)
    addresses = {one.name: one.uri for one in named}
    others = [one.found for one in surveyed if one.role is not None]
    text = decision_on_address(advice.params, addresses, earlier)
    checked = _checked(params, text)
    said = [
        *_recognised(surveyed, labelled),
        *_chosen(choice, advice),
        _what_it_takes(found, others, checked, settings, origin),
        *what_happens(named, earlier, kept),
        *replaced_edits(params, text, settings),
    ]
    if options.dry_run:
        print(shown("\n".join(said)), file=sys.stderr)
        print(text, end="")
        return 0
    anew = renewals(origin, data)
    if not options.force:
        refuse_to_lose_words(anew, edited)
    print("\n".join(said), flush=True)  # what is replaced is said before it is replaced
    started = start_files(origin, anew)
    model, renamed = start_model_name(origin, data, settings, weights=options.weights)
    # Last: after a kill before this line, the same data still count as new.
    write_params(params, text, settings)
    gone = no_longer_read(earlier, checked.discover.sources)
    print(f"\nwrote    {params}")
    for line in [*started, model, *(f"note     {votes} is no longer read" for votes in gone)]:
        print(line)
    print(_what_comes(found, ["params.yaml", *(one.file for one in anew), *renamed]))
    return 0


def _in_order(entries: Mapping[str, str], before: Sequence[str]) -> list[str]:
    """Entries as params.yaml had them in order, then new ones. before: names."""
    place = {name: n for n, name in enumerate(before)}
    return [entries[name] for name in sorted(entries, key=lambda one: place.get(one, len(place)))]


def _recognised(
    surveyed: Sequence[SurveyedSource], labelled: Sequence[SurveyedSource]
) -> list[str]:
    """What was recognised of each source, and of all that are trained on."""
    from pipeline_lib.survey import describe, describe_together, in_words, pooled

    several, found, lines = len(labelled) > 1, pooled(labelled), []
    for one in surveyed:
        if one.role is None:
            lines += [*([f"source   {one.name}"] if several else []), describe(one.found)]
    if several:
        lines += describe_together(labelled)
    for one in surveyed:
        if one.role == "test":
            lines += in_words(one, found)
        elif one.role == "unlabelled":
            lines.append(
                f"without  {one.name}: {one.found.n_images} images whose classes are not read"
            )
    return lines


def _chosen(choice: WeightChoice, advice: Advice) -> list[str]:
    return [
        *(f"note     {note}" for note in _on_splits(advice)),
        *(f"note     {note}" for note in choice.notes),
        f"features {advice.features}",
        f"recipe   {advice.recipe}: {advice.reason}",
    ]


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


def _what_it_takes(
    found: Survey,
    others: Sequence[Survey],
    params: LineParams,
    settings: Settings,
    origin: Path,
) -> str:
    import shutil

    from pipeline_lib.harness.terminal import live
    from pipeline_lib.survey import describe_estimate, scale, try_out

    with live("try some images and a training step"):
        trial = try_out(found, params, settings)
    if trial is None:
        return "time     unknown: none of the sampled images could be decoded"
    estimate = scale(trial, found, params, workers=settings.worker_count(), others=others)
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
