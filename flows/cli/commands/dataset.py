"""`perennial dataset release NAME`: freeze the data of the last run. `classes FILE`: import ImageNet's synsets."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

HELP = "release the data of the last run (datasheet, Croissant, git tag), or import ImageNet's class names"
RELEASE = (
    "Writes releases/NAME, commits it and tags the commit dataset/NAME. `git checkout dataset/NAME && "
    "dvc pull` restores the exact files. Terms and people's answers are in curation/datasheet.yaml. See "
    "docs/releases.md."
)
CLASSES = "Writes curation/classes.csv: names, definitions and parents of the classes. See docs/classes.md."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial dataset`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    release = actions.add_parser(
        "release",
        help="freeze manifest, selection and shards' hashes under a name",
        description=RELEASE,
    )
    release.add_argument(
        "name",
        help="name of the release, such as digits-1.0.0; a version at its end becomes the dataset's version",
    )
    classes = actions.add_parser(
        "classes", help="write curation/classes.csv from ImageNet's own files", description=CLASSES
    )
    classes.add_argument(
        "file", type=Path, help="data/meta.mat of the devkit, or LOC_synset_mapping.txt"
    )


def run(options: argparse.Namespace) -> int:
    """Release a dataset or import class names. Raises UsageError, BadData, ConfigError, SourceMissing."""
    from flows.cli.project import find_project

    origin = find_project(Path.cwd())
    return (
        _release(origin, options.name)
        if options.action == "release"
        else _classes(origin, options.file)
    )


def _release(origin: Path, name: str) -> int:
    """Write a release and print its folder and tag."""
    from pipeline_lib.errors import PipelineError
    from pipeline_lib.files.atomic import remove_tree
    from pipeline_lib.release import check_name, write_release
    from pipeline_lib.settings import load_settings
    from tasks.dataset_tag import clean_commit, commit_release, tag_of

    check_name(name, origin)
    commit, today = clean_commit(origin, name), datetime.now(UTC).date()
    released = write_release(
        name, checkout=origin, settings=load_settings(origin), commit=commit, published=today
    )
    try:
        tagged = commit_release(origin, released.folder, name, f"Dataset release {name}")
    except PipelineError:
        remove_tree(released.folder)
        raise
    print(
        f"{released.folder}: {released.n_kept:,} images kept, {len(released.files)} files with their sha256"
    )
    print(
        f"tag {tag_of(name)} on commit {tagged[:12]}; share it with `git push origin {tag_of(name)}`"
    )
    return 0


def _classes(origin: Path, file: Path) -> int:
    """Write curation/classes.csv unless it already lists classes."""
    from pipeline_lib.errors import UsageError
    from pipeline_lib.files.atomic import write_text
    from pipeline_lib.survey.imagenet_devkit import classes_csv

    target = origin / "curation/classes.csv"
    if target.exists() and len(target.read_text(encoding="utf-8").splitlines()) > 1:
        raise UsageError(
            "the file already lists classes",
            file=target,
            remedy="move it away, or add lines by hand",
        )
    text = classes_csv(file)
    write_text(target, text)
    print(f"{target}: {text.count(chr(10)) - 1:,} classes")
    return 0
