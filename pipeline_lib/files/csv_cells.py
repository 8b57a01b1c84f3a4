"""Cells of CSV files that people open in a spreadsheet, which takes a cell that begins with `=` for a formula.

Both ways are exact: `plain(guarded(text)) == text` for every text. Source: OWASP, CSV injection.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FORMULA = re.compile(r"'*[=+\-@\t\r]")  # also what is guarded already, so that undoing it gives it back


def guarded(cell: str) -> str:
    """The cell with an apostrophe before what a spreadsheet would run."""
    return f"'{cell}" if FORMULA.match(cell) else cell


def plain(cell: str) -> str:
    """The cell without the apostrophe that `guarded` put there."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def frame_as_csv(frame: pd.DataFrame) -> str:
    """A table for people and for us: its texts guarded, no index."""
    texts = frame.select_dtypes(["object", "str"])
    guarded_texts = {name: texts[name].map(guarded, na_action="ignore") for name in texts.columns}
    return frame.assign(**guarded_texts).to_csv(index=False, lineterminator="\n")


def read_frame(file: Path, texts: tuple[str, ...]) -> pd.DataFrame:
    """The inverse: the columns `texts` as they were; a text that reads 007 or NA stays that."""
    import pandas as pd

    frame = pd.read_csv(file, dtype=dict.fromkeys(texts, "str"), na_filter=False)
    return frame.assign(**{name: frame[name].map(plain) for name in texts})
