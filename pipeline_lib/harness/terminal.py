"""A live line: on a terminal each text overwrites the one before."""

from __future__ import annotations

import shutil
import sys

BACK = "\r\x1b[K"  # to the start of the line, which is wiped (ECMA-48: CR, EL)


def clearing() -> str:
    """What a line of the log begins with so as to replace a live line; "" where there is no terminal."""
    return BACK if sys.stderr.isatty() else ""


def show_live(text: str) -> None:
    """Write over the live line, cut to the width of the terminal: a longer one would not be wiped whole."""
    sys.stderr.write(BACK + text[: shutil.get_terminal_size().columns - 1])
    sys.stderr.flush()
