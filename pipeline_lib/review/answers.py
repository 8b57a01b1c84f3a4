"""Answers as people hand them back: a CSV file from the review page, or what Label Studio exports as JSON."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.curate.overrides import parse_overrides
from pipeline_lib.files.csv_cells import plain


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
    return tuple(Answer(*(plain(cell.strip()) for cell in cells)) for cells in reader if reader.line_num in found)
