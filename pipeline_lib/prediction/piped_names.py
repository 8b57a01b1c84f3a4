"""Names that come through a pipe, as they come."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

from pipeline_lib.errors import UsageError
from pipeline_lib.harness.work_in_order import Pause

READ_BYTES = 1 << 16
LONGEST_BYTES = 1 << 16  # of a name; a path has 4,095 at most, an address of the web some thousands


def piped_names(fileno: int, *, nul: bool) -> Iterator[str | Pause]:
    """Yield the names that are there, one a line or (nul) separated by zero bytes, and a Pause while there is none.

    Empty lines are left out. Raises UsageError for what can be no list of names.
    """
    end = b"\0" if nul else b"\n"
    rest = b""
    while True:
        if not select.select([fileno], [], [], 0)[0]:
            yield Pause(fileno)
            continue
        chunk = os.read(fileno, READ_BYTES)
        if not nul and b"\0" in chunk:
            _refuse("it holds zero bytes: an image or another file, or names for the option -0")
        *whole, rest = (rest + chunk).split(end)
        if len(rest) > LONGEST_BYTES:
            _refuse(f"a name of more than {LONGEST_BYTES} bytes")
        if not chunk:
            whole.append(rest)
        for raw in whole:
            name = raw if nul else raw.removesuffix(b"\r")  # as Windows ends lines
            if name:
                yield os.fsdecode(name)
        if not chunk:
            return


def _refuse(found: str) -> None:
    remedy = "write one name a line (`find photos -type f | perennial predict -`), or with -0 `find ... -print0`"
    raise UsageError("no list of names", file="standard input", value=found, remedy=remedy)
