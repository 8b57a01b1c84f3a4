"""Patterns of images' names: those that read a field, and those that choose files.

`{class}_*` reads `cat` from `photos/cat_003.jpg`, `{split}/{class}/*` reads both from folders. A choice such as `masks` or
`*_mask.png` is written as in .gitignore.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache

from pipeline_lib.sources.names import encode_name, without_image_ending

_FIELD = re.compile(r"\{(class|split|subject)\}")  # other braces stand for themselves; `{*}` is `*`


def check_pattern(pattern: str, *, needs: str, allows: Collection[str] = ()) -> None:
    """Raise ValueError with what is wrong with a pattern. needs, allows: fields, without their braces."""
    fields = _FIELD.findall(pattern)
    if fields.count(needs) != 1:
        raise ValueError(f"{{{needs}}} must stand in it once")
    for name in fields:
        if name not in (needs, *allows) or fields.count(name) > 1:
            known = " and ".join(f"{{{one}}}" for one in (needs, *allows))
            raise ValueError(f"{{{name}}} is one field too many: it reads {known}, each once")
    if "" in pattern.split("/"):
        raise ValueError("a folder without a name in it: write * for any folder")


def fields_by_name(pattern: str, names: Iterable[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield each name that fits, with the text of each field. Names are as stored, with `/` between folders.

    A field is the longest text that fits, but a split that is no whole folder one word; `*` is any text and `?` one
    character, all within one folder. Folders are counted from the image upwards; the file extension is not part of the
    name, unless the pattern ends with one.
    """
    depth = pattern.count("/") + 1
    form = _form(pattern)
    has_ending = without_image_ending(pattern) != pattern
    for name in names:
        compared = name if has_ending else without_image_ending(name)
        fit = form.fullmatch("/".join(compared.split("/")[-depth:]))
        if fit:
            yield name, fit.groupdict()


def has_field(pattern: str | None, field: str) -> bool:
    """Whether a pattern reads a field."""
    return pattern is not None and f"{{{field}}}" in pattern


def left_out_by(name: str, include: Collection[str], exclude: Collection[str]) -> str | None:
    """Return why a file is not asked for: the pattern of `exclude` that fits its name, or "not included"; else None.

    A pattern without `/` fits files and folders of that name anywhere, one with `/` a path below the source. What lies in
    a fitting folder fits too. `*` and `?` stay within a folder, `**` does not.
    """
    for pattern in exclude:
        if _choice(pattern).fullmatch(name):
            return pattern
    if include and not any(_choice(pattern).fullmatch(name) for pattern in include):
        return NOT_INCLUDED
    return None


NOT_INCLUDED = "not included"


@lru_cache(maxsize=64)
def _form(pattern: str) -> re.Pattern[str]:
    text = _stored(pattern.replace("{*}", "*"))
    return re.compile("/".join(_folder(part) for part in text.split("/")))


def _folder(text: str) -> str:
    """One part of a pattern between slashes. A split is one word of a name: the class may be several."""
    parts = _FIELD.split(text)  # text, field, text, field, ..., text
    told = []
    for number, part in enumerate(parts):
        is_word = part == "split" and len(text) > len("{split}")
        fits = r"[^/\W_]+" if is_word else "[^/]+"
        told.append(f"(?P<{part}>{fits})" if number % 2 else _text(part))
    return "".join(told)


def _text(text: str) -> str:
    """Text outside of the fields; its stars take as little as they can."""
    wild = {"*": "[^/]*?", "?": "[^/]"}
    return "".join(wild.get(character) or re.escape(character) for character in text)


@lru_cache(maxsize=1024)
def _choice(pattern: str) -> re.Pattern[str]:
    text = _stored(pattern)
    path = text.strip("/")
    start = "" if "/" in text.rstrip("/") else "(?:.*/)?"
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", path)
    told = "".join(wild.get(part) or re.escape(part) for part in parts)
    return re.compile(f"{start}{told}(?:/.*)?", re.DOTALL)


def _stored(pattern: str) -> str:
    return encode_name(pattern.encode("utf-8", "surrogateescape"))
