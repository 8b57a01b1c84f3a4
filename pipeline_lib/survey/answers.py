"""What a person says of a source before it is surveyed: how its folders are read, and which table holds its labels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline_lib.download.labels_file import ReceivedLabels, is_labels_table, read_labels
from pipeline_lib.errors import BadData, UsageError
from pipeline_lib.settings import Settings
from pipeline_lib.sources.doubt import Doubt
from pipeline_lib.sources.layout import LAYOUTS, FolderLayout, detect_layout
from pipeline_lib.sources.places import table_place
from pipeline_lib.sources.subjects import is_pattern
from pipeline_lib.survey.contents import Contents
from pipeline_lib.survey.subjects import names_subjects

TABLE_ENDINGS = (".csv", ".tsv", ".txt")
HEAD_BYTES = 1 << 16
TRIED = 20  # tables that are looked into


@dataclass(frozen=True)
class SourceAnswer:
    """layout: a name of LAYOUTS. splits: folder -> split, as params.yaml has stated it. labels: the file's address.

    subject_from: as in discover.sources; "" when a person said that no two images show one subject.
    """

    layout: str | None = None
    splits: Mapping[str, str] | None = None
    labels: str | None = None
    subject_from: str | None = None


@dataclass(frozen=True)
class Table:
    """A table of labels. subject_columns: those that name subjects, or may: column -> image -> cell."""

    labels: ReceivedLabels
    subject_columns: Mapping[str, Mapping[str, str]]


def read_table(
    answer: SourceAnswer, names: Sequence[str], settings: Settings, *, root: Path
) -> Table | None:
    """The table of labels that the answer names. Raises what reading it raises."""
    if not answer.labels:
        return None
    place = table_place(answer.labels, settings, root=root)
    data = place.read(next(place.list()))
    read = partial(read_labels, data, file=answer.labels, members=frozenset(names))
    said = answer.subject_from
    if said and not is_pattern(said):
        labels = read(subject_column=said)
        return Table(labels, {said: labels.subject_of})
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
    answer: SourceAnswer, doubt: Doubt | None, received: ReceivedLabels | None
) -> Doubt | None:
    """What is left to ask. With a table of labels folders can tell splits only, and not even these when it has some."""
    if doubt is None or answer.layout is not None:
        return None
    if received is None:
        return doubt
    readings = tuple(one for one in doubt.readings if one.splits or one.layout == "flat")
    return Doubt(doubt.why, readings) if len(readings) > 1 and not received.split_of else None


def tables_of_labels(
    uri: str, contents: Contents, names: Sequence[str], *, root: Path
) -> Iterator[str]:
    """A sentence for each table of labels of these images inside the source or beside it."""
    inside = [
        (one.name, one.first, number < contents.n_loose)
        for number, one in enumerate(contents.files)
        if one.first and one.name.lower().endswith(TABLE_ENDINGS)
    ]
    for name, first, is_loose in inside[:TRIED]:
        if is_labels_table(first(HEAD_BYTES), members=names):
            file = f"{uri.rstrip('/')}/{name}"
            use = (
                f"`perennial init {uri} --labels {file}`"
                if is_loose
                else "take it out, then `init --labels FILE`"
            )
            yield f"{name} is a table of labels of these images and is not used: {use} takes the classes from it."
    if "://" in uri:
        return
    folder = (root / Path(uri).expanduser()).resolve().parent
    tables = sorted(
        one for one in folder.glob("*") if one.suffix.lower() in TABLE_ENDINGS and one.is_file()
    )
    for table in tables[:TRIED]:
        with table.open("rb") as opened:
            if is_labels_table(opened.read(HEAD_BYTES), members=names):
                use = f"`perennial init {uri} --labels {table}`"
                what = (
                    f"{table.name} beside them is a table of labels of these images and is not used"
                )
                yield f"{what}: {use} takes the classes from it."
