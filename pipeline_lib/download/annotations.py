"""Votes and subjects: CSV files beside the images, checked line by line; or subjects by the names of images.

Images are withdrawn while their lines stay behind, so a line about an absent image is left out and counted; a file
whose every line is about absent images spells them wrongly, and is an error.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from unicodedata import normalize

from pipeline_lib.errors import BadData
from pipeline_lib.sources.names import encode_name
from pipeline_lib.sources.subjects import PATTERN_MEANING, subjects_by_name

log = logging.getLogger(__name__)
SHOWN = 5
USE_LABELS = (
    "if these are labels, one for each image, name the file as `labels` in place of `votes` in "
    "discover.sources of params.yaml; otherwise "
)
VOTES_HEADER = ("member", "annotator", "label")
SUBJECTS_HEADER = ("member", "subject")


@dataclass(frozen=True)
class AnnotationLine:
    """One line of a CSV. number: 1-based. cells: stripped, by column. member: as the tables spell it."""

    number: int
    cells: Mapping[str, str]
    member: str


def read_votes(data: bytes, *, file: str, members: frozenset[str]) -> list[AnnotationLine]:
    """The votes of a source. Raises BadData: header, empty cell, no known member, two votes of one annotator on one."""
    lines = _known(list(_read(data, VOTES_HEADER, file=file)), members, file=file)
    _refuse_repeated(
        lines,
        ("member", "annotator"),
        file=file,
        remedy="keep one vote of each annotator on each image",
    )
    return lines


def read_subjects(data: bytes, *, file: str, members: frozenset[str]) -> dict[str, str]:
    """member -> subject. Raises BadData: header, empty cells, no known member, a member named twice."""
    lines = _known(list(_read(data, SUBJECTS_HEADER, file=file)), members, file=file)
    _refuse_repeated(lines, ("member",), file=file, remedy="name each image once")
    return {line.member: line.cells["subject"] for line in lines}


def subjects_of_source(pattern: str, members: Collection[str], *, source: str) -> dict[str, str]:
    """Member -> subject by a pattern of names; those that do not fit are counted and named. Raises BadData if none fits."""
    found = subjects_by_name(pattern, members)
    left = sorted(set(members) - found.keys())
    named = ", ".join(left[:SHOWN])
    if left and not found:
        remedy = f"fix subject_from of source {source} in params.yaml: {PATTERN_MEANING}"
        raise BadData(
            f"no image fits subject_from {pattern}",
            file="params.yaml",
            value=named,
            remedy=remedy,
        )
    if left:
        what = "source %s: %d images do not fit subject_from %s and have no subject: %s"
        log.warning(what, source, len(left), pattern, named)
    log.info("source %s: %d subjects by %s", source, len(set(found.values())), pattern)
    return found


def _read(data: bytes, header: tuple[str, ...], *, file: str) -> Iterator[AnnotationLine]:
    """Parse UTF-8, comma-separated; a byte order mark and further columns are ignored."""
    try:
        reader = csv.DictReader(
            io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True, restval=""
        )
        names = [name.strip() for name in reader.fieldnames or ()]
        if not set(header) <= set(names) or len(set(names)) < len(names):
            remedy = f"give it a first line with the columns {','.join(header)}, separated by commas, each once"
            if (
                header == VOTES_HEADER
                and not any("annotator" in name.lower() for name in names)
                and any(names)
            ):
                remedy = USE_LABELS + remedy
            raise BadData(
                "the columns are not as they should be",
                file=f"{file}:1",
                value=",".join(names),
                remedy=remedy,
            )
        reader.fieldnames = names
        for row in reader:
            cells = {name: (row[name] or "").strip() for name in header}
            member = encode_name(
                cells["member"].removeprefix("./").encode("utf-8", "surrogateescape")
            )
            line = AnnotationLine(reader.line_num, cells, member)
            if not all(line.cells.values()):
                raise BadData(
                    "an empty cell",
                    file=f"{file}:{line.number}",
                    value=dict(line.cells),
                    remedy="fill it or remove the line",
                )
            yield line
    except UnicodeDecodeError as error:
        raise BadData(
            "not UTF-8 text", file=file, value=error, remedy="save it as CSV UTF-8"
        ) from error
    except csv.Error as error:
        raise BadData(
            "not valid CSV",
            file=f"{file}:{reader.reader.line_num}",
            value=error,
            remedy="fix the quotes of that line",
        ) from error


def _known(
    lines: list[AnnotationLine], members: frozenset[str], *, file: str
) -> list[AnnotationLine]:
    """The lines about images that the source has."""
    # macOS decomposes the names of files (NFD), and a table typed by people composes them (NFC)
    spelt = {normalize("NFC", member): member for member in members} | {
        member: member for member in members
    }
    lines = [
        replace(
            line,
            member=spelt.get(line.member) or spelt.get(normalize("NFC", line.member), line.member),
        )
        for line in lines
    ]
    unknown = [line for line in lines if line.member not in members]
    if not unknown:
        return lines
    shown = "; ".join(f"line {line.number}: {line.cells['member']}" for line in unknown[:SHOWN])
    if len(unknown) == len(lines):
        remedy = "write members as paths below the source, without its name"
        raise BadData(
            "no line names an image that the source has", file=file, value=shown, remedy=remedy
        )
    log.warning(
        "%s: %d lines ignored, since the source has no such images: %s",
        file,
        len(unknown),
        shown,
    )
    return [line for line in lines if line.member in members]


def _refuse_repeated(
    lines: list[AnnotationLine], key: tuple[str, ...], *, file: str, remedy: str
) -> None:
    first: dict[tuple[str, ...], int] = {}
    repeated = []
    for line in lines:
        cells = (line.member, *(line.cells[name] for name in key[1:]))
        if first.setdefault(cells, line.number) != line.number:
            repeated.append(f"lines {first[cells]} and {line.number}: {', '.join(cells)}")
    if repeated:
        raise BadData(
            f"{len(repeated)} lines repeat another",
            file=file,
            value="; ".join(repeated[:SHOWN]),
            remedy=remedy,
        )
