"""curation/classes.csv: what people know of classes: their names, definitions and parents. Tracked by git.

It is a dictionary, not a list of the classes to use: ancestors that no picture has (ImageNet's inner synsets) belong in
it, a class may be absent from it. Merging, renaming and excluding are overrides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from pipeline_lib.curate.curation_csv import read_lines
from pipeline_lib.errors import ConfigError, DataCheckFailed

COLUMNS = ("class_id", "name", "definition", "parents")
SEPARATOR = ";"  # between parents
NAMED = 10  # examples in a message


@dataclass(frozen=True)
class ClassWords:
    """One line. class_id: the wnid in ImageNet, else the folder's name. name: in words; "" means the id."""

    class_id: str
    name: str
    definition: str
    parents: tuple[str, ...]


def parse_class_words(text: str, file: Path) -> dict[str, ClassWords]:
    """Read the file's text, by class_id. Raises ConfigError listing every malformed line, unknown parent and circle."""
    found: dict[str, ClassWords] = {}
    faults: list[str] = []
    for number, values in read_lines(normalize("NFC", text), file, COLUMNS):
        fault = values if isinstance(values, str) else _malformed(values, found)
        if fault:
            faults.append(f"line {number}: {fault}")
        else:
            parents = tuple(name.strip() for name in values[3].split(SEPARATOR) if name.strip())
            found[values[0]] = ClassWords(values[0], values[1], values[2], parents)
    faults += [
        f"{word.class_id}: no class {p!r} to be its parent"
        for word in found.values()
        for p in word.parents
        if p not in found
    ]
    faults += [f"{name}: is an ancestor of itself" for name in found if name in ancestors(name, found)]
    if faults:
        count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
        remedy = "mend these lines; docs/classes.md shows the file"
        raise ConfigError(count, file=file, value="; ".join(faults), remedy=remedy)
    return found


def ancestors(class_id: str, words: Mapping[str, ClassWords]) -> set[str]:
    """All classes above one, by any path; itself only where the parents form a circle."""
    above: set[str] = set()
    queue = list(words[class_id].parents) if class_id in words else []
    while queue:
        parent = queue.pop()
        if parent not in above:
            above.add(parent)
            queue += words[parent].parents if parent in words else ()
    return above


def check_leaves(used: Iterable[str], words: Mapping[str, ClassWords], file: Path) -> None:
    """Raise DataCheckFailed when a class in use is an ancestor of another: a picture could rightly have both labels."""
    used = sorted(used)
    chosen = set(used)
    pairs = [f"{upper} above {lower}" for lower in used for upper in sorted(ancestors(lower, words) & chosen)]
    if pairs:
        more = f" and {len(pairs) - NAMED} more" if len(pairs) > NAMED else ""
        raise DataCheckFailed(
            "classes in use lie above others in use",
            file=file,
            value=", ".join(pairs[:NAMED]) + more,
            remedy="merge_class or exclude_class one of each in curation/overrides.csv, or mend `parents`",
        )


def names_of(used: Iterable[str], words: Mapping[str, ClassWords]) -> dict[str, str]:
    """class_id -> its name in words, made unique: crane (n02012849), crane (n03126707)."""
    names = {class_id: (words[class_id].name if class_id in words else "") or class_id for class_id in used}
    taken: dict[str, int] = {}
    for name in names.values():
        taken[name] = taken.get(name, 0) + 1
    return {
        class_id: f"{name} ({class_id})" if taken[name] > 1 and name != class_id else name
        for class_id, name in names.items()
    }


def _malformed(values: list[str], found: Mapping[str, ClassWords]) -> str:
    if len(values) != len(COLUMNS):
        return f"{len(values)} cells instead of {len(COLUMNS)}"
    if not values[0]:
        return "the class_id is empty"
    return f"class {values[0]!r} stands there twice" if values[0] in found else ""
