"""What the classes of one line are called in another, by the rule of the gate: renames and merges are followed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def renames(names: Sequence[str], then: Path | None, now: Path | None) -> dict[str, str]:
    """class id then -> class id now, of the classes that still exist. then, now: profile.json; None: not on record."""
    from pipeline_lib.register.champion_answers import classes_today, read_became

    return classes_today(names, read_became(then), read_became(now))
