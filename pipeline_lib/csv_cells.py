"""Cells of CSV files that people open in a spreadsheet, which takes a cell that begins with `=` for a formula.

Both ways are exact: `plain(guarded(text)) == text` for every text. Source: OWASP, CSV injection.
"""

from __future__ import annotations

import re

FORMULA = re.compile(r"'*[=+\-@\t\r]")  # also what is guarded already, so that undoing it gives it back


def guarded(cell: str) -> str:
    """The cell with an apostrophe before what a spreadsheet would run."""
    return f"'{cell}" if FORMULA.match(cell) else cell


def plain(cell: str) -> str:
    """The cell without the apostrophe that `guarded` put there."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
