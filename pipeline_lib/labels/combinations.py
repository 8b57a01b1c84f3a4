"""Find classes that are several in one: `Hernia|Mass`, `cat, dog` where cat and dog are classes too."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection

BETWEEN = "|"  # as we join the several classes of an image
_ALWAYS = re.compile(r"\s*[|;]\s*")
_AT_TIMES = (re.compile(r"\s*,\s*"), re.compile(r"\s*\+\s*"), re.compile(r"\s+"))
_NUMBERS = re.compile(r"\d+(?:[\s,]+\d+)+")
RECURRING = 0.5  # share of the parts that other classes must have as well


def combinations(labels: Collection[str], *, are_lists: bool) -> dict[str, str]:
    """The labels that name several classes -> these in order, with bars between. are_lists: their column is called so
    (`labels`, `tags`).

    Bars and semicolons always divide; commas, plus signs and blanks if each part is a class of its own, or, in lists, if
    half of the parts recur: `goldfish, Carassius auratus` and `polar bear` are one class each.
    """
    found = {one: of_one for one in labels if len(of_one := _parts(_ALWAYS, one)) > 1}
    found |= {one: re.findall(r"\d+", one) for one in labels if _NUMBERS.fullmatch(one)}
    for sign in _AT_TIMES:
        parts = {one: _parts(sign, one) for one in labels}
        n_with = Counter(part for of_one in parts.values() for part in set(of_one))
        for one, of_one in parts.items():
            if len(of_one) < 2:
                continue
            recurring = sum(n_with[part] > 1 for part in of_one)
            is_made_of_classes = all(part in labels for part in of_one)
            if is_made_of_classes or (are_lists and recurring >= RECURRING * len(of_one)):
                found.setdefault(one, of_one)
    return {one: BETWEEN.join(sorted(set(parts))) for one, parts in found.items()}


def _parts(sign: re.Pattern[str], label: str) -> list[str]:
    return [part for part in sign.split(label.strip()) if part]
