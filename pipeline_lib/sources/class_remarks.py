"""What a person should look at in the names of classes: those that may be one class, and those that may be none."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection

SHOWN = 5
MANY_LETTERS = 3  # of a plural: gas and bus are none
NO_VALUES = frozenset(
    {
        "na",
        "none",
        "null",
        "-",
        "?",
        "unknown",
        "undefined",
        "unlabeled",
        "unlabelled",
        "tbd",
        "todo",
        "skip",
    }
)
# What programs and people add to the name of a folder or a class that they copy.
_COPY = re.compile(
    r"(copy of|copie de|copia de|kopie von|c\u00f3pia de) (?P<of>.+)"
    r"|(?P<by>.+?)([ _-]+(copy|kopie|copie|copia|old|new|backup|bak|orig|v\d{1,2})|[ _-]*\(\d{1,2}\))+",
    re.IGNORECASE,
)


def class_remarks(classes: Collection[str]) -> tuple[str, ...]:
    """A sentence without its full stop for each thing to look at."""
    return (*_alike(classes), *_no_values(classes), *_numbers_among_names(classes))


def _alike(classes: Collection[str]) -> list[str]:
    """Classes whose names differ in capitals, blanks, a plural or the word of a copy alone."""
    exact = {_plain(one): one for one in classes}
    groups: dict[str, set[str]] = defaultdict(set)
    for one in classes:
        copy = _COPY.fullmatch(one.strip())
        of = _plain((copy["of"] or copy["by"]) if copy else one)
        plain = of if of in exact else _plain(one)
        is_plural = plain.endswith("s") and plain[:-1] in exact and len(plain) > MANY_LETTERS
        groups[plain[:-1] if is_plural else plain].add(one)
    same = sorted(", ".join(sorted(group)) for group in groups.values() if len(group) > 1)
    if not same:
        return []
    more = "; ..." if len(same) > SHOWN else ""
    remedy = "merge them by `merge_class` in curation/overrides.csv if they are (docs/overrides.md)"
    return [f"classes may be the same: {'; '.join(same[:SHOWN])}{more}: {remedy}"]


def _plain(name: str) -> str:
    """A name without what people write in different ways; a name of signs alone as it is."""
    return re.sub(r"[\s_.-]+", "", name.casefold()) or name


def _no_values(classes: Collection[str]) -> list[str]:
    named = sorted(one for one in classes if one.casefold().strip() in NO_VALUES)
    others = set(classes).difference(named)
    if not named or not others or not all(any(map(str.isalnum, one)) for one in others):
        return []  # + and - are classes
    return [
        f"classes are named like no value: {_some(named)}: leave their images without a class if they have none"
    ]


def _numbers_among_names(classes: Collection[str]) -> list[str]:
    numbers = sorted(filter(str.isdecimal, classes), key=int)
    names = sorted(set(classes).difference(numbers))
    if not numbers or not names:
        return []
    return [
        f"classes are numbers and names ({_some(numbers)} beside {_some(names)}): "
        "write one or the other if they mean the same"
    ]


def _some(names: Collection[str]) -> str:
    shown = sorted(names)[:SHOWN]
    return ", ".join(shown) + (", ..." if len(names) > SHOWN else "")
