"""What a person should know of a source before starting, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline_lib.labels.match import ReceivedLabels
from pipeline_lib.labels.table_files import EXPORT
from pipeline_lib.sources.layout import FolderLayout
from pipeline_lib.sources.names import is_archive, respelled
from pipeline_lib.survey.contents import Contents, Seen

FEW = 20


def respelled_folders(layout: FolderLayout, taken: Sequence[Seen]) -> list[str]:
    folders = {folder for one in taken if (folder := layout.class_folder(one.name)) is not None}
    return [f"{sentence}." for sentence in respelled(folders)]


def problems_of(
    layout: FolderLayout,
    labels: Counter[str | None],
    splits: Counter[str | None],
    contents: Contents,
    unreadable: int,
    received: ReceivedLabels | None,
) -> list[str]:
    """What a person should know before starting, one sentence each."""
    classes = {name: count for name, count in labels.items() if name is not None}
    problems = []
    if not classes:
        problems.append(
            "No class can be told from the folders: name a table of labels (`--labels FILE`, one line per image) or "
            "a votes file, or sort the images into class folders."
        )
        mats = [one.name for one in contents.files if one.name.lower().endswith(".mat")]
        if mats:
            problems.append(
                f"{', '.join(mats[:3])} may hold the classes, but MATLAB files are not read: {EXPORT}, then `--labels FILE`."
            )
    elif len(classes) == 1:
        problems.append("There is one class only; a classifier needs two.")
    if received and labels[None]:
        more = ", ..." if labels[None] > 5 else ""
        said = ", ".join(received.without[:5]) + more
        problems.append(
            f"{labels[None]} images have no class in the table; they will be quarantined: {said}."
        )
    elif classes and labels[None]:
        problems.append(f"{labels[None]} images lie outside the class folders and have no class.")
    if received and received.unknown.n:
        problems.append(
            f"{received.unknown.n} lines of the table are about images that are not there."
        )
    nested = sum(is_archive(one.name) for one in contents.files)
    if nested:
        problems.append(
            f"{nested} archives lie inside an archive and are not opened: unpack the outer one first."
        )
    few = sorted(name for name, count in classes.items() if count < FEW)
    if few:
        problems.append(
            f"{len(few)} classes have fewer than {FEW} images: {', '.join(few[:5])}{' ...' if len(few) > 5 else ''}."
        )
    if unreadable:
        problems.append(
            f"{unreadable} of the sampled files are no images that can be read; they will be quarantined."
        )
    if not contents.is_complete:
        problems.append(
            "Only the beginning was looked at, since the rest would have to be fetched: counts are lower bounds."
        )
    if layout.kind in ("split_class_folders", "split_leaf_folders", "class_split_folders"):
        problems.append(_about_splits(splits))
    return problems


def _about_splits(splits: Counter[str | None]) -> str:
    """What curate will make of published splits, see curate/splits.py."""
    absent = [name for name in ("val", "test") if not splits[name]]
    if not absent:
        return "The splits are taken from the folders."
    missing = " and ".join(absent)
    return f"The splits are taken from the folders; what no source brings is drawn out of train: {missing} so far."
