"""docs/ffcv.md names a test for each defect of FFCV, and every test that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/ffcv.md"
DEFECTS = PAGE.read_text().partition("## Defects")[2]
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in DEFECTS.splitlines()
    if line.startswith("| ") and not line.startswith("| defect of")
]
TEST = re.compile(r"\[(test_\w+)\]\(([^)]+)\)")


def test_every_defect_says_what_would_happen_what_keeps_it_away_and_which_test_shows_it() -> None:
    incomplete = [row for row in ROWS if len(row) != 4 or not all(row) or not TEST.search(row[3])]

    assert len(ROWS) > 50
    assert incomplete == []


def test_every_test_that_the_page_names_exists() -> None:
    named = {(name, PAGE.parent / file) for row in ROWS for name, file in TEST.findall(row[-1])}

    assert [name for name, file in sorted(named) if f"def {name}(" not in file.read_text()] == []
