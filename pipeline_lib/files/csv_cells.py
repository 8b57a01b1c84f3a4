"""Guard the cells of CSV files against spreadsheets, which run a cell that begins with `=` as a formula.

The guard is reversible: `plain(guarded(text)) == text` for every text. Source: OWASP, CSV injection.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FORMULA = re.compile(r"'*[=+\-@\t\r]")  # also guarded text, so that the guard is reversible


def guarded(cell: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would run."""
    return f"'{cell}" if FORMULA.match(cell) else cell


def plain(cell: str) -> str:
    """Remove the apostrophe of `guarded`."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def frame_as_csv(frame: pd.DataFrame) -> str:
    """Write a table as CSV with guarded texts and no index."""
    texts = frame.select_dtypes(["object", "str"])
    guarded_texts = {name: texts[name].map(guarded, na_action="ignore") for name in texts.columns}
    return frame.assign(**guarded_texts).to_csv(index=False, lineterminator="\n")


def read_frame(file: Path, texts: tuple[str, ...]) -> pd.DataFrame:
    """Read what `frame_as_csv` wrote; the columns `texts` stay text, also cells such as 007 or NA."""
    import pandas as pd

    frame = pd.read_csv(file, dtype=dict.fromkeys(texts, "str"), na_filter=False)
    return frame.assign(**{name: frame[name].map(plain) for name in texts})
