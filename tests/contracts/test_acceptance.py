"""The acceptance table of docs/curation.md has every row, and what it points to is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

from scripts.curation_tables import NOT_MEASURED, TARGETS, acceptance

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"row (\d+): ")


def test_every_row_has_its_place_once() -> None:
    assert [target.number for target in TARGETS] == list(range(1, 24))


def test_every_measured_case_belongs_to_a_row() -> None:
    files = (ROOT / "benchmarks/results").glob("*.json")
    cases = {row["case"] for file in files for row in json.loads(file.read_text())["rows"]}

    strays = [
        case
        for case in cases
        if case.startswith("row ") and not ((row := ROW.match(case)) and 1 <= int(row[1]) <= 23)
    ]

    assert strays == []


def test_every_test_that_the_table_names_exists() -> None:
    named = [test.partition("::") for target in TARGETS for test in target.tests]

    assert [
        name for file, _, name in named if f"def {name}(" not in (ROOT / "tests" / file).read_text()
    ] == []


def test_a_row_without_figure_or_test_says_so() -> None:
    table = acceptance()

    assert all(f"| {target.number} | {target.what} |" in table for target in TARGETS)
    assert "| 7 | " in table and NOT_MEASURED in table.partition("| 7 | ")[2].partition("\n")[0]
