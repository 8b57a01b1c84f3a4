"""Find the image of each statement, and refuse what could be meant in two ways, naming the lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from unicodedata import normalize

from pipeline_lib.errors import BadData
from pipeline_lib.labels.combinations import BETWEEN, combinations
from pipeline_lib.labels.finder import Finder
from pipeline_lib.labels.folder_classes import FolderClasses
from pipeline_lib.labels.statements import NO_VALUE, Part, Stated, Statement, split_in
from pipeline_lib.labels.undecided import combined_classes, differing_lines
from pipeline_lib.sources.class_remarks import class_remarks
from pipeline_lib.sources.split_names import split_names

log = logging.getLogger(__name__)
SHOWN = 5
_ENCODE = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


@dataclass
class Examples:
    """How many of something there are, and the first of them."""

    n: int = 0
    shown: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Count one."""
        self.n += 1
        if self.n <= SHOWN:
            self.shown.append(text)

    def text(self, between: str = ", ") -> str:
        """The first ones."""
        return between.join(self.shown) + (f"{between}..." if self.n > SHOWN else "")


@dataclass(frozen=True)
class ReceivedLabels:
    """class_of, split_of, subject_of: by member, as the tables spell it. columns: what was found, for people;
    column_names: all that the file has. extras_of: by member, JSON of all other cells.

    without: members that no line gives a class. unknown: lines about images that the source does not have. remarks: what
    a person should look at. by_folder: the folders of some images are their classes.
    """

    class_of: Mapping[str, str]
    split_of: Mapping[str, str]
    subject_of: Mapping[str, str]
    columns: str
    column_names: tuple[str, ...]
    without: tuple[str, ...]
    unknown: Examples
    extras_of: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    by_folder: bool = False


def receive(stated: Stated, *, members: frozenset[str], file: str) -> ReceivedLabels:
    """Match all statements with the images of a source, reading each file once. members: the images' names.

    Raises BadData: a line that names several images or none, two classes for one image, an unknown split, no line
    about an image of the source, and what reading the files raises.
    """
    finder = Finder(members)
    gathered = _Gathered(file, FolderClasses(members))
    for part in stated.parts:
        for statement in part.statements:
            gathered.take(part, statement, finder)
    gathered.refuse(stated.image_column, stated)
    class_of = _of_one_class(gathered.labels.joined(), stated, file)
    without = tuple(sorted(members - class_of.keys()))
    return ReceivedLabels(
        class_of,
        _meaning_of_splits(gathered.splits.cells, stated.split_column, file)
        | gathered.file_splits_beside(),
        gathered.subjects.cells,
        stated.said,
        stated.columns,
        without,
        gathered.unknown,
        gathered.extras,
        class_remarks(set(class_of.values())),
        by_folder=gathered.folders.were_asked,
    )


def report_labels(labels: ReceivedLabels, file: str) -> None:
    """Log which columns were read, and count lines without image and images without line."""
    n_classes = len(set(labels.class_of.values()))
    log.info("%s: %s; %d images, %d classes", file, labels.columns, len(labels.class_of), n_classes)
    if labels.unknown.n:
        what = "%s: %d lines ignored, since the source has no such images: %s"
        log.warning(what, file, labels.unknown.n, labels.unknown.text())
    if labels.without:
        what = "%s: %d images have no class in it and will be quarantined as label_missing: %s; add lines for them"
        log.warning(what, file, len(labels.without), some(labels.without))
    for remark in labels.remarks:
        log.warning("%s: %s", file, remark)


def some(texts: Sequence[str], between: str = ", ") -> str:
    """The first texts."""
    return between.join(texts[:SHOWN]) + (f"{between}..." if len(texts) > SHOWN else "")


def _lies_in(member: str, split: str) -> bool:
    """Whether the folders of an image name this split alone."""
    return {split_in(folder) for folder in member.split("/")[:-1]} - {None} == {split}


class _OneEach:
    """One cell for each image; lines that say another are collected."""

    def __init__(self, what: str) -> None:
        self.what, self.cells, self.differing = what, {}, Examples()
        self._lines: dict[str, str | int] = {}
        self._others: dict[str, set[str]] = {}

    cells: dict[str, str]

    def say(self, member: str, cell: str, where: str | int) -> None:
        if not cell:
            return
        before = self.cells.setdefault(member, cell)
        line = self._lines.setdefault(member, where)
        if before != cell and line != where:
            lines = f"lines {line} and {where}"
            self.differing.add(f"{lines}: {member} is {before} and {cell}")
            self._others.setdefault(member, set()).add(cell)

    def joined(self) -> dict[str, str]:
        """The cells, those of several lines about one image with bars between."""
        several = {
            member: BETWEEN.join(sorted({self.cells[member], *others}))
            for member, others in self._others.items()
        }
        return self.cells | several

    def refuse(self, file: str, *, may_be_several: bool = False) -> None:
        if not self.differing.n:
            return
        what, value = f"{self.differing.n} images have two {self.what}", self.differing.text("; ")
        if may_be_several:
            raise differing_lines(what, value, file=file)
        remedy = "keep one line per image; labels by several people belong in a `votes` file"
        raise BadData(what, file=file, value=value, remedy=remedy)


class _Gathered:
    """What was said so far."""

    def __init__(self, file: str, folders: FolderClasses) -> None:
        self._file, self.folders = file, folders
        self.labels, self.splits = _OneEach("classes"), _OneEach("splits")
        self.subjects = _OneEach("subjects")
        self._file_splits = _OneEach("splits")
        self.extras: dict[str, str] = {}
        self.unknown, self._nameless, self._ambiguous = Examples(), Examples(), Examples()
        self._n_known = 0
        self._spelt: dict[str, str] = {}  # a class is one text, however many images have it

    def take(self, part: Part, said: Statement, finder: Finder) -> None:
        many = part.file != self._file
        where: str | int = f"{part.file}:{said.line}" if many else said.line
        named = f"{part.file}:{said.line}" if many else f"{part.unit} {said.line}"
        if said.member is not None:
            found = [said.member]
        elif not said.image:
            self._nameless.add(named)
            return
        else:
            found = finder.find(said.image, part.folder)
        if len(found) > 1 and part.images_of:
            found = [one for one in found if _lies_in(one, part.images_of)] or found
        if not found:
            self.unknown.add(f"{named}: {said.image}")
            return
        if len(found) > 1:
            self._ambiguous.add(f"{named}: {said.image} ({some(found)})")
            return
        self._n_known += 1
        member = found[0]
        label = self.folders.of(member) if said.by_folder else said.label
        label = "" if label in NO_VALUE else label
        self.labels.say(member, self._spelt.setdefault(label, normalize("NFC", label)), where)
        self.splits.say(member, self._spelt.setdefault(said.split, said.split), where)
        self.subjects.say(member, said.subject, where)
        self._file_splits.say(member, part.split, where)
        extras = {key: value for key, value in said.extras.items() if value not in ("", None)}
        if extras:
            self.extras.setdefault(member, _ENCODE(extras))

    def file_splits_beside(self) -> dict[str, str]:
        """The splits that files' names tell, for images without one of their own."""
        return {
            member: split
            for member, split in self._file_splits.cells.items()
            if member not in self.splits.cells
        }

    def refuse(self, column: str, stated: Stated) -> None:
        """Raise BadData for what is wrong with the lines; LabelsUndecided for several classes of one image, unless it is
        stated what becomes of these.
        """
        aside = f" (column {column})" if column else ""
        if self._nameless.n:
            what = f"{self._nameless.n} lines name no image{aside}"
            remedy = "write the file name, or remove the line"
            raise BadData(what, file=self._file, value=self._nameless.text(), remedy=remedy)
        if self._ambiguous.n:
            remedy = "write the path below the source, with the file extension"
            what = f"{self._ambiguous.n} lines fit several images"
            raise BadData(what, file=self._file, value=self._ambiguous.text(), remedy=remedy)
        if not self._n_known:
            remedy = "write names as they are in the source: paths below it, or file names"
            what = f"no line names an image that the source has{aside}"
            value = self.unknown.text() or "no lines"
            raise BadData(what, file=self._file, value=value, remedy=remedy)
        if stated.several not in ("leave_out", "combined"):
            self.labels.refuse(self._file, may_be_several=stated.several is not None)
        for each in (self.splits, self._file_splits, self.subjects):
            each.refuse(self._file)


def _of_one_class(class_of: Mapping[str, str], stated: Stated, file: str) -> Mapping[str, str]:
    """The classes without those that are several, or with these as classes of their own. Raises LabelsUndecided."""
    if stated.several is None:
        return class_of
    several = combinations(set(class_of.values()), are_lists=stated.are_lists)
    if not several:
        return class_of
    if stated.several == "combined":
        return {member: several.get(label, label) for member, label in class_of.items()}
    if stated.several == "leave_out":
        return {member: label for member, label in class_of.items() if label not in several}
    examples = [(member, label) for member, label in class_of.items() if label in several]
    member, label = examples[0]
    example = f"{member}: {label}"
    raise combined_classes(len(examples), len(class_of), example, file=file)


def _meaning_of_splits(cells: Mapping[str, str], column: str, file: str) -> dict[str, str]:
    spellings = set(cells.values())
    meaning = split_names(spellings) if len(spellings) > 1 else {}
    for cell in spellings - meaning.keys():
        meaning |= split_names([cell])
    strange = sorted(spellings - meaning.keys())
    if strange:
        remedy = "write train, val or test, or rename the column"
        what = f"column {column} has values that are not splits"
        raise BadData(what, file=file, value=some(strange), remedy=remedy)
    return {member: meaning[cell] for member, cell in cells.items()}
