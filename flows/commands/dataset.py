"""`perennial dataset release NAME`: freeze the data of the last run as a versioned dataset."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

HELP = "release the data of the last run: hashes, datasheet, Croissant metadata, one git tag"
EPILOG = (
    "Writes releases/NAME, commits it and tags the commit dataset/NAME. `git checkout dataset/NAME && dvc pull` brings "
    "the very files back. Terms and people's answers stand in curation/datasheet.yaml."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial dataset`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    release = actions.add_parser("release", help="freeze manifest, selection and shards' hashes under a name")
    release.add_argument("name", help="digits-1.0.0, say; a version at its end becomes the dataset's")


def run(options: argparse.Namespace) -> int:
    """Release and print where it lies. Raises UsageError, BadData, ConfigError."""
    from flows.project import find_project
    from pipeline_lib.atomic_files import remove_tree
    from pipeline_lib.errors import PipelineError
    from pipeline_lib.release import check_name, write_release
    from pipeline_lib.settings import load_settings
    from tasks.dataset_tag import clean_commit, commit_release, tag_of

    origin = find_project(Path.cwd())
    check_name(options.name, origin)
    commit, today = clean_commit(origin, options.name), datetime.now(UTC).date()
    settings = load_settings(origin)
    released = write_release(options.name, checkout=origin, settings=settings, commit=commit, published=today)
    try:
        tagged = commit_release(origin, released.folder, options.name, f"Dataset release {options.name}")
    except PipelineError:
        remove_tree(released.folder)
        raise
    print(f"{released.folder}: {released.n_kept:,} pictures kept, {len(released.files)} files with their sha256")
    print(f"tag {tag_of(options.name)} on commit {tagged[:12]}; share it with `git push origin {tag_of(options.name)}`")
    return 0
