"""The class that a person means by an option: its id, or its name in words."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def class_id_of(wanted: str, option: str, *, ids: Sequence[str], names: Sequence[str]) -> str:
    """The id of a class. ids, names: of all classes, in one order. Raises UsageError with the nearest ones."""
    from pipeline_lib.errors import UsageError

    if wanted in ids:
        return wanted
    if wanted in names:
        return ids[names.index(wanted)]
    known = list(dict.fromkeys([*names, *ids]))
    near = difflib.get_close_matches(wanted, known, n=5, cutoff=0.5) or known[:10]
    raise UsageError(
        "no such class", file=option, value=wanted, remedy=f"name one such as {', '.join(near)}"
    )
