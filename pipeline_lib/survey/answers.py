"""What a person says of a source before it is surveyed: how its folders are read, and which table holds its labels."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from pipeline_lib.errors import BadData, UsageError
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.formats import read_labels
from pipeline_lib.labels.match import ReceivedLabels
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.sources.doubt import Doubt, Reading
from pipeline_lib.sources.layout import LAYOUTS, FolderLayout, detect_layout
from pipeline_lib.sources.subjects import is_pattern
from pipeline_lib.survey.subjects import names_subjects

NO_LABELS: Final = ""


@dataclass(frozen=True)
class SourceAnswer:
    """layout: a name of LAYOUTS. splits: folder -> split, as params.yaml has stated it. labels: the file's address, or how
    files of labels are read; NO_LABELS when a person said that folders tell the classes. told: further
    keys of LabelsFile (label, several), for labels that are recognised too.

    subject_from: as in discover.sources; "" when a person said that no two images show one subject.
    """

    layout: str | None = None
    splits: Mapping[str, str] | None = None
    labels: str | LabelsFile | None = None
    told: Mapping[str, str] = field(default_factory=dict)
    subject_from: str | None = None


@dataclass(frozen=True)
class Table:
    """A table of labels. subject_columns: those that name subjects, or may: column -> image -> cell."""

    labels: ReceivedLabels
    subject_columns: Mapping[str, Mapping[str, str]]


def read_table(
    stated: LabelsFile | None,
    subject_from: str | None,
    files: Files,
    names: Sequence[str],
    *,
    uri: str,
) -> Table | None:
    """The labels that are stated. files: those among which they are. uri: of the source. Raises what reading them raises."""
    if stated is None:
        return None
    file = stated.file or uri
    read = partial(read_labels, files, stated, file=file, members=frozenset(names))
    if subject_from and not is_pattern(subject_from):
        labels = read(subject_column=subject_from)
        return Table(labels, {subject_from: labels.subject_of})
    labels = read()
    columns = {}
    for column in filter(names_subjects, labels.column_names):
        with contextlib.suppress(BadData):  # two cells for one image: no column to offer
            columns[column] = read(subject_column=column).subject_of
    return Table(labels, columns)


def read_answer(
    answer: SourceAnswer,
    doubt: Doubt | None,
    names: Sequence[str],
    received: ReceivedLabels | None,
    *,
    uri: str,
) -> FolderLayout:
    """The layout that the answer means for these images. received: their labels, where a table has them.

    Raises UsageError for a layout that gives no class.
    """
    layout = detect_layout(names, "auto")
    if answer.layout is None:
        is_mute = received is not None and layout.kind == "class_folders"
        return FolderLayout("flat", layout.depth) if is_mute else layout
    splits = answer.splits
    offered: dict[str, Mapping[str, str]] = (
        {one.layout: one.splits for one in doubt.readings} if doubt else {}
    )
    if splits is None and doubt:
        splits = offered.get(answer.layout, {})
    layout = detect_layout(names, answer.layout, splits)
    if (
        received is None
        and answer.layout not in {"flat", *offered}
        and not any(map(layout.label, names))
    ):
        what = f"layout {answer.layout} ({LAYOUTS[layout.kind].meaning}) finds no class"
        remedy = f"leave --layout away, or name another of {', '.join(LAYOUTS)}"
        raise UsageError(what, file=uri, value=names[0], remedy=remedy)
    return layout


def remaining_doubt(
    answer: SourceAnswer,
    doubt: Doubt | None,
    received: ReceivedLabels | None,
    names: Sequence[str],
) -> Doubt | None:
    """What is left to ask. With a table of labels folders can tell splits only, and not even these when it has some."""
    if doubt is None or answer.layout is not None:
        return None
    if received is None:
        return doubt
    readings = tuple(
        one for one in doubt.readings if one.layout == "flat" or _tells_splits(one, names, received)
    )
    return Doubt(doubt.why, readings) if len(readings) > 1 and not received.split_of else None


def _tells_splits(one: Reading, names: Sequence[str], received: ReceivedLabels) -> bool:
    """Whether the images with a class lie in several splits: those of a published test set may have none."""
    layout = detect_layout(names, one.layout, one.splits)
    return len({layout.split(name) for name in received.class_of} - {None}) > 1
