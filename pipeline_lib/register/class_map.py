"""Which of today's classes a champion's class is, through the renames and merges that `curate` recorded.

profile.json of each version says what every received class became. A champion's class is today's class when all that
went into it then goes into one class now.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

Became = Mapping[str, str | None]  # received class -> class id; None: excluded


def read_became(profile: Path | None) -> Became | None:
    """What every received class became, out of a profile.json; None when it is absent or older than the record."""
    if profile is None:
        return None
    became: Became | None = json.loads(profile.read_text(encoding="utf-8")).get("became")
    return became


def classes_today(champion_classes: Iterable[str], then: Became | None, now: Became | None) -> dict[str, str]:
    """Champion's class id -> today's class id, without those that were split or excluded since.

    then, now: what received classes became when the champion was trained, and today. Without both records, or where
    the sources themselves no longer use the name, a class is known by its id.
    """
    if then is None or now is None:
        return {name: name for name in champion_classes}
    today: dict[str, str] = {}
    for name in champion_classes:
        still_received = [received for received, became in then.items() if became == name and received in now]
        candidates = {now[received] for received in still_received} if still_received else {name}
        wanted = candidates - {None}
        if len(wanted) == 1:
            today[name] = str(wanted.pop())
    return today
