"""Which images show one subject (a person, an object, a burst), read from their names by a pattern.

`{subject}_*` reads `person01` from `cat/person01_003.jpg`; `{subject}/*` reads the folder that holds the image.
"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline_lib.sources import name_patterns

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
    name_patterns.check_pattern(pattern, needs="subject")


def subjects_by_name(pattern: str, names: Iterable[str]) -> dict[str, str]:
    """Name -> subject, for the names that fit the pattern. Names are as stored, with `/` between folders."""
    return {
        name: fields["subject"] for name, fields in name_patterns.fields_by_name(pattern, names)
    }
