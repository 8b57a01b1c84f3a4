"""A table of labels: one class per image, in a CSV with free column names. They are labels as received, not votes.

Columns are found by their names and reported. What could be meant in two ways is an error that names the lines.
"""

from __future__ import annotations

import codecs
import csv
import io
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from pipeline_lib.errors import BadData
from pipeline_lib.sources.names import encode_name, without_image_ending
from pipeline_lib.sources.split_names import split_names
from pipeline_lib.sources.web.url_list import COLUMNS as URL_COLUMNS
from pipeline_lib.sources.web.urls import is_web, name_of, parse_url

log = logging.getLogger(__name__)
SHOWN = 5
DELIMITERS = ",;\t|"
FILE_COLUMNS = (
    "member", "filename", "file", "filepath", "path", "imagepath", "imagefile", "imagename", "image", "img",
    "imageid", "imgid", "photo", "picture", "name", "id", *URL_COLUMNS,
)  # fmt: skip
CLASS_COLUMNS = (
    "label", "class", "category", "target", "classname", "labelname", "categoryname", "species", "breed", "diagnosis",
    "dx",
)  # fmt: skip
SPLIT_COLUMNS = ("split", "subset", "set", "partition")
ANNOTATOR = "annotator"
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Columns:
    """The columns of a table of labels, as it spells them. files: each that may name the image."""

    delimiter: str
    names: tuple[str, ...]
    files: tuple[str, ...]
    label: str
    split: str | None


@dataclass(frozen=True)
class ReceivedLabels:
    """class_of, split_of, subject_of: by member, as the tables spell it. columns: what was found, for people;
    column_names: all that the file has.

    without: members that no line gives a class. unknown: lines about images that the source does not have.
    """

    class_of: Mapping[str, str]
    split_of: Mapping[str, str]
    subject_of: Mapping[str, str]
    columns: str
    column_names: tuple[str, ...]
    without: tuple[str, ...]
    unknown: tuple[str, ...]


def read_labels(
    data: bytes, *, file: str, members: frozenset[str], subject_column: str | None = None
) -> ReceivedLabels:
    """The classes of a source's images. members: their names. See docs/labels.md for the rules.

    subject_column: the column of their subjects, where there is one. Raises BadData: not text, no such columns, a line
    that names several images or none, two classes for one image, an unknown split, no line about an image of the source.
    """
    text = _decoded(data, file)
    columns = find_columns(text, file=file)
    if subject_column is not None and subject_column not in columns.names:
        remedy = "name one of its columns in subject_from, or a pattern such as '{subject}_*'"
        raise BadData(
            f"no column {subject_column}",
            file=f"{file}:1",
            value=", ".join(columns.names),
            remedy=remedy,
        )
    rows = _rows(text, columns, file)
    finder = _Finder(members)
    column = max(
        columns.files, key=lambda name: sum(bool(finder.find(cells[name])) for _, cells in rows)
    )
    matched = [(number, cells, finder.find(cells[column])) for number, cells in rows]
    _refuse_nameless(rows, column, file)
    _refuse_ambiguous(matched, column, file)
    known = [(number, cells, found[0]) for number, cells, found in matched if found]
    unknown = [f"line {number}: {cells[column]}" for number, cells, found in matched if not found]
    if not known:
        remedy = "write names as they are in the source: paths below it, or file names"
        what = f"no line names an image that the source has (column {column})"
        raise BadData(what, file=file, value=_some(unknown) or "no lines", remedy=remedy)
    classes = (
        (number, member, normalize("NFC", cells[columns.label])) for number, cells, member in known
    )
    class_of = _one_each(classes, "classes", file)
    split_of = _splits(known, columns.split, file)
    subject_of = {}
    if subject_column is not None:
        cells_of = ((number, member, cells[subject_column]) for number, cells, member in known)
        subject_of = _one_each(cells_of, "subjects", file)
    without = tuple(sorted(members - class_of.keys()))
    said = f"images in column {column}, classes in {columns.label}"
    said += f", splits in {columns.split}" if columns.split else ""
    said += f", subjects in {subject_column}" if subject_column is not None else ""
    return ReceivedLabels(
        class_of, split_of, subject_of, said, columns.names, without, tuple(unknown)
    )


def report_labels(labels: ReceivedLabels, file: str) -> None:
    """Log which columns were read, and count lines without image and images without line."""
    n_classes = len(set(labels.class_of.values()))
    log.info("%s: %s; %d images, %d classes", file, labels.columns, len(labels.class_of), n_classes)
    if labels.unknown:
        what = "%s: %d lines ignored, since the source has no such images: %s"
        log.warning(what, file, len(labels.unknown), _some(labels.unknown))
    if labels.without:
        what = "%s: %d images have no class in it and will be quarantined as label_missing: %s; add lines for them"
        log.warning(what, file, len(labels.without), _some(labels.without))


def find_columns(text: str, *, file: str) -> Columns:
    """Find the columns by the first line. Raises BadData naming the columns found and the names that are accepted."""
    first = text.partition("\n")[0].rstrip("\r")
    headers = [
        (sign, [cell.strip() for cell in next(csv.reader([first], delimiter=sign), [])])
        for sign in DELIMITERS
    ]
    delimiter, names = max(headers, key=lambda header: len(header[1]))
    known = {name: re.sub(r"[\W_]", "", name.lower()) for name in names}
    files = tuple(name for name in names if known[name] in FILE_COLUMNS)
    labels = [name for name in names if known[name] in CLASS_COLUMNS]
    splits = [name for name in names if known[name] in SPLIT_COLUMNS]
    found = ", ".join(names)
    where = f"{file}:1"
    if ANNOTATOR in known.values() and files and labels:
        remedy = "name the file as `votes` in place of `labels` in discover.sources of params.yaml"
        raise BadData(
            "these are votes of several people, not one label each",
            file=where,
            value=found,
            remedy=remedy,
        )
    if not files or not labels:
        lacking = " and ".join(
            what for what, there in (("image", files), ("class", labels)) if not there
        )
        remedy = "make its first line name the columns, such as `filename,label` (docs/labels.md lists the names)"
        raise BadData(f"no column for the {lacking}", file=where, value=found, remedy=remedy)
    if len(labels) > 1 or len(splits) > 1 or len(set(names)) < len(names):
        remedy = "rename all but one of them in the file's first line"
        several = labels if len(labels) > 1 else splits if len(splits) > 1 else names
        raise BadData(
            "several columns are possible", file=where, value=", ".join(several), remedy=remedy
        )
    return Columns(delimiter, tuple(names), files, labels[0], splits[0] if splits else None)


def is_labels_table(head: bytes, *, members: Iterable[str]) -> bool:
    """Whether a file with this beginning is a table of labels of these images."""
    try:
        text = _decoded(head[: head.rfind(b"\n") + 1] or head, "")
        columns = find_columns(text, file="")
        rows = _rows(text, columns, "")
    except BadData:
        return False
    finder = _Finder(frozenset(members))
    return any(finder.find(cells[name]) for _, cells in rows for name in columns.files)


class _Finder:
    """Find the images whose path fits a cell: the shorter of the two must be the end of the longer.

    A name without the ending of an image stands for that of any. Names are compared composed (Unicode's NFC): a table
    comes from a keyboard, and files may come from macOS, which decomposes their names.
    """

    def __init__(self, members: frozenset[str]) -> None:
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for member in sorted(members):
            name = normalize("NFC", member).rpartition("/")[2]
            self._by_name[name].append(member)
            if without_image_ending(name) != name:
                self._by_name[without_image_ending(name)].append(member)

    def find(self, cell: str) -> list[str]:
        """Return the fitting members; exactly one if the cell is unambiguous."""
        spelt = normalize("NFC", cell).replace("\\", "/").removeprefix("./")
        is_url = is_web(spelt)
        path = (
            name_of(parse_url(spelt, file="labels"))
            if is_url
            else encode_name(spelt.encode("utf-8", "surrogateescape"))
        )
        parts = [part for part in path.split("/") if part]
        named = self._by_name.get(parts[-1] if parts else "", ())
        found = [member for member in named if _agree(normalize("NFC", member).split("/"), parts)]
        exact = [member for member in found if normalize("NFC", member) == path]
        return exact or found


def _agree(member: Sequence[str], cell: Sequence[str]) -> bool:
    """Whether the folders are the same as far as both go back from the file name, which agree already."""
    return all(one == other for one, other in zip(member[-2::-1], cell[-2::-1], strict=False))


def _decoded(data: bytes, file: str) -> str:
    """UTF-8 with or without a byte order mark; UTF-16 with one, as spreadsheets save it."""
    try:
        return data.decode("utf-16") if data.startswith(UTF16) else data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        remedy = "save it as CSV UTF-8"
        raise BadData(
            "not UTF-8 text", file=f"{file}:{line}", value=error, remedy=remedy
        ) from error


def _rows(text: str, columns: Columns, file: str) -> list[tuple[int, dict[str, str]]]:
    """Yield (line number, stripped cells by column) of each line that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=columns.delimiter, strict=True)
    rows = []
    try:
        next(reader, None)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                padded = [*cells, *[""] * (len(columns.names) - len(cells))]
                rows.append(
                    (
                        reader.line_num,
                        {name: padded[at].strip() for at, name in enumerate(columns.names)},
                    )
                )
    except csv.Error as error:
        where = f"{file}:{reader.line_num}"
        raise BadData(
            "not valid CSV", file=where, value=error, remedy="fix the quotes of that line"
        ) from error
    return rows


def _refuse_nameless(rows: Sequence[tuple[int, Mapping[str, str]]], column: str, file: str) -> None:
    nameless = [f"line {number}" for number, cells in rows if not cells[column]]
    if nameless:
        what = f"{len(nameless)} lines name no image (column {column})"
        raise BadData(
            what, file=file, value=_some(nameless), remedy="write the file name, or remove the line"
        )


def _refuse_ambiguous(
    matched: Sequence[tuple[int, Mapping[str, str], Sequence[str]]], column: str, file: str
) -> None:
    several = [
        f"line {number}: {cells[column]} ({_some(found)})"
        for number, cells, found in matched
        if len(found) > 1
    ]
    if several:
        remedy = "write the path below the source, with the file extension"
        raise BadData(
            f"{len(several)} lines fit several images",
            file=file,
            value=_some(several),
            remedy=remedy,
        )


def _one_each(cells: Iterable[tuple[int, str, str]], what: str, file: str) -> dict[str, str]:
    """Return member -> cell, without empty cells. Raises BadData if two lines about one image differ."""
    first: dict[str, tuple[int, str]] = {}
    differing = []
    for number, member, cell in cells:
        if cell:
            before, said = first.setdefault(member, (number, cell))
            if said != cell:
                differing.append(f"lines {before} and {number}: {member} is {said} and {cell}")
    if differing:
        remedy = "keep one line per image; labels by several people belong in a `votes` file"
        raise BadData(
            f"{len(differing)} images have two {what}",
            file=file,
            value=_some(differing, "; "),
            remedy=remedy,
        )
    return {member: cell for member, (_, cell) in first.items()}


def _splits(
    known: Sequence[tuple[int, Mapping[str, str], str]], column: str | None, file: str
) -> dict[str, str]:
    if column is None:
        return {}
    named = _one_each(
        ((number, member, cells[column]) for number, cells, member in known), "splits", file
    )
    meaning = split_names(set(named.values())) if len(set(named.values())) > 1 else {}
    meaning |= {
        cell: split_names([cell])[cell]
        for cell in set(named.values()) - meaning.keys()
        if split_names([cell])
    }
    strange = sorted(set(named.values()) - meaning.keys())
    if strange:
        remedy = "write train, val or test, or rename the column"
        raise BadData(
            f"column {column} has values that are not splits",
            file=file,
            value=_some(strange),
            remedy=remedy,
        )
    return {member: meaning[cell] for member, cell in named.items()}


def _some(texts: Sequence[str], between: str = ", ") -> str:
    return between.join(texts[:SHOWN]) + (f"{between}..." if len(texts) > SHOWN else "")
