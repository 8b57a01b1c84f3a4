"""Which images show one subject (a person, an object, a burst), read from their names by a pattern.

`{subject}_*` reads `person01` from `cat/person01_003.jpg`; `{subject}/*` reads the folder that holds the image.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline_lib.sources.names import encode_name, without_image_ending

SUBJECT = "{subject}"
PATTERN_MEANING = (
    f"{SUBJECT} is the longest text that fits, * any text, ? one character; the file extension is not part of the "
    "name, and folders are counted from the image upwards"
)


def is_pattern(subject_from: str) -> bool:
    """Whether it is a pattern, and not the name of a column."""
    return SUBJECT in subject_from


def check_pattern(pattern: str) -> None:
    """Raise ValueError with what is wrong with a pattern."""
    if pattern.count(SUBJECT) != 1:
        raise ValueError(f"{SUBJECT} must stand in it once")
    if "" in pattern.split("/"):
        raise ValueError("a folder without a name in it: write * for any folder")


def subjects_by_name(pattern: str, names: Iterable[str]) -> dict[str, str]:
    """Name -> subject, for the names that fit the pattern. Names are as stored, with `/` between folders."""
    depth = pattern.count("/") + 1
    form = re.compile(_regular_expression(pattern))
    found = {}
    for name in names:
        parts = without_image_ending(name).split("/")[-depth:]
        fit = form.fullmatch("/".join(parts))
        if fit:
            found[name] = fit["subject"]
    return found


def _regular_expression(pattern: str) -> str:
    before, _, after = encode_name(pattern.encode("utf-8", "surrogateescape")).partition(SUBJECT)
    return f"{_part(before)}(?P<subject>[^/]+){_part(after)}"


def _part(text: str) -> str:
    """Text outside of the subject; its stars take as little as they can."""
    wild = {"*": "[^/]*?", "?": "[^/]"}
    return "".join(wild.get(character) or re.escape(character) for character in text)
