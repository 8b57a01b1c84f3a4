"""What a person says of a source before it is surveyed: how its folders are read, and which table holds its labels."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from pipeline_lib.errors import BadData, UsageError
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.formats import read_labels
from pipeline_lib.labels.match import ReceivedLabels
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.sources.doubt import Doubt, Reading
from pipeline_lib.sources.layout import LAYOUTS, detect_layout
from pipeline_lib.sources.name_patterns import has_field
from pipeline_lib.sources.reading import NameReading
from pipeline_lib.sources.recognise import Shape
from pipeline_lib.sources.subjects import is_pattern
from pipeline_lib.survey.subjects import names_subjects

NO_LABELS: Final = ""


@dataclass(frozen=True)
class SourceAnswer:
    """What a person said, on the command line or in params.yaml: the keys of a source, None or () where they did not.

    layout: a name of LAYOUTS. labels: the file's address, or how files of labels are read; NO_LABELS when they said that
    folders tell the classes. told: further keys of LabelsFile, for labels that are recognised too.
    subject_from: "" when they said that no two images show one subject. sets_aside: whether masks and the like may be left
    out without a question.
    """

    layout: str | None = None
    splits: Mapping[str, str] | None = None
    labels: str | LabelsFile | None = None
    told: Mapping[str, Any] = field(default_factory=dict)
    subject_from: str | None = None
    depth: int | None = None
    class_from: str | None = None
    split_from: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    sets_aside: bool = True

    @property
    def says_how(self) -> bool:
        """Whether it says how names are read, so that nothing is left to recognise."""
        said = (self.layout, self.splits, self.depth, self.class_from, self.split_from)
        return any(one is not None for one in said)


@dataclass(frozen=True)
class Keys:
    """The keys of a source that say how its names are read, as params.yaml will state them."""

    layout: str
    splits: Mapping[str, str] | None = None
    depth: int | None = None
    class_from: str | None = None
    split_from: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


NO_KEYS = Keys("auto")


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


def keys_of(
    answer: SourceAnswer,
    shape: Shape | None,
    doubt: Doubt | None,
    names: Sequence[str],
    received: ReceivedLabels | None,
) -> Keys:
    """The keys that a person's answer means for these images, or what was recognised, or the default reading.

    names: of the images that are not left out. received: their labels, where a table has them.
    """
    chosen = Keys("auto", include=answer.include, exclude=answer.exclude)
    if answer.says_how:
        splits = answer.splits
        if splits is None and doubt and answer.layout:
            offered: dict[str, Mapping[str, str]] = {
                one.layout: one.splits for one in doubt.readings
            }
            splits = offered.get(answer.layout, {})
        by_pattern = answer.split_from is not None or has_field(answer.class_from, "split")
        usual = "split_class_folders" if splits and not by_pattern else "auto"
        chosen = replace(
            chosen,
            layout=answer.layout or usual,
            splits=splits,
            depth=answer.depth,
            class_from=answer.class_from,
            split_from=answer.split_from,
        )
    elif shape:
        chosen = replace(
            chosen,
            layout=shape.layout,
            splits=shape.splits,
            depth=shape.depth,
            class_from=shape.class_from,
        )
    elif received is not None and detect_layout(names, "auto").kind == "class_folders":
        chosen = replace(chosen, layout="flat")
    return chosen


def refuse_classless(
    reading: NameReading, keys: Keys, doubt: Doubt | None, names: Sequence[str], *, uri: str
) -> None:
    """Raise UsageError for a layout that a person named and that gives no class."""
    offered = {one.layout for one in doubt.readings} if doubt else set()
    if keys.layout in {"auto", "flat", *offered} or any(map(reading.label, names)):
        return
    what = f"layout {keys.layout} ({LAYOUTS[reading.layout.kind].meaning}) finds no class"
    remedy = f"leave --layout away, or name another of {', '.join(LAYOUTS)}"
    raise UsageError(what, file=uri, value=names[0], remedy=remedy)


def remaining_doubt(
    answer: SourceAnswer,
    doubt: Doubt | None,
    received: ReceivedLabels | None,
    names: Sequence[str],
) -> Doubt | None:
    """What is left to ask. With a table of labels folders can tell splits only, and not even these when it has some."""
    if doubt is None or answer.says_how:
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
