"""Show a live line on a terminal: each text overwrites the one before."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator

BACK = "\r\x1b[K"  # back to the start of the line, and clear it (ECMA-48: CR, EL)


def clearing() -> str:
    """Return the prefix that makes a log line replace a live line; "" without a terminal."""
    return BACK if sys.stderr.isatty() else ""


def clear_live() -> None:
    """Clear the live line, if there is a terminal."""
    sys.stderr.write(clearing())
    sys.stderr.flush()


def show_live(text: str) -> None:
    """Overwrite the live line, cut to the width of the terminal, since a wrapped line could not be cleared."""
    sys.stderr.write(BACK + text[: shutil.get_terminal_size().columns - 1])
    sys.stderr.flush()


@contextlib.contextmanager
def live(text: str) -> Iterator[None]:
    """Show a live line while the block runs, if there is a terminal."""
    if sys.stderr.isatty():
        show_live(text)
    try:
        yield
    finally:
        clear_live()
