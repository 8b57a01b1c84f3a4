"""Answers as people hand them back: a CSV file from the review page, or what Label Studio exports as JSON.

They are merged into curation/overrides.csv.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from pipeline_lib.curate.overrides import parse_overrides
from pipeline_lib.files.csv_cells import guarded, plain


@dataclass(frozen=True)
class Answer:
    """One decision, in the cells of a line of curation/overrides.csv. day: ISO date or ""."""

    key_type: str
    key: str
    action: str
    value: str
    expected_old: str
    reason: str
    author: str
    day: str


def read_answers(text: str, file: Path) -> tuple[Answer, ...]:
    """The lines of a CSV file in the columns of overrides.csv. Raises ConfigError listing every malformed line."""
    found = {override.line for override in parse_overrides(text, file)}
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    return tuple(
        Answer(*(plain(cell.strip()) for cell in cells))
        for cells in reader
        if reader.line_num in found
    )


@dataclass(frozen=True)
class Merged:
    """text: of the whole file. added, known: lines that are new, and answers that the file held already."""

    text: str
    added: int
    known: int


def merge(text: str, answers: Iterable[Answer], file: Path) -> Merged:
    """Append the answers that `text`, the file's content, does not hold. Raises ConfigError when it is malformed."""
    held = {(o.key_type, o.key, o.action, o.value) for o in parse_overrides(text, file)}
    fresh: list[Answer] = []
    known = 0
    for answer in answers:
        order = (answer.key_type, answer.key, answer.action, answer.value)
        if order in held:
            known += 1
        else:
            held.add(order)
            fresh.append(answer)
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\n")
    writer.writerows([guarded(cell) for cell in astuple(answer)] for answer in fresh)
    ended = text if text.endswith("\n") or not text else f"{text}\n"
    return Merged(ended + written.getvalue(), len(fresh), known)
