"""Classes: what people say of them in curation/classes.csv, and which are left with how many images.

curation/classes.csv holds names, definitions and parents, and is tracked by git. It is a dictionary, not a list of the
classes to use: ancestors that no image has (ImageNet's inner synsets) belong in it, a class may be absent from it.
Merging, renaming and excluding are overrides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pandas as pd

from pipeline_lib.curate.curation_files import CLASS_WORDS, OVERRIDES, read_lines
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.errors import ConfigError, DataCheckFailed
from pipeline_lib.tables.manifest import SPLITS

DO_WITHOUT = f"add pictures, exclude_class in {OVERRIDES}, or set curate.small_classes: drop in params.yaml"

FEWER = "lower curate.min_images_per_class where it dropped the others"


def too_small(kept: pd.DataFrame, params: CurateParams, file: Path) -> pd.Series:
    """Rows of classes with fewer kept training pictures than asked for; none unless the policy is `drop`.

    kept: class_id and split of the rows that stand. Raises DataCheckFailed when the policy is `fail`.
    """
    n_train = kept[kept["split"] == "train"].groupby("class_id").size()
    small = n_train.reindex(sorted(kept["class_id"].unique()), fill_value=0)
    small = small[small < params.min_images_per_class]
    if params.small_classes == "fail" and len(small):
        what = f"{len(small)} classes have fewer than {params.min_images_per_class} training pictures"
        value = ", ".join(f"{name}: {n}" for name, n in small.head(NAMED).items())
        raise DataCheckFailed(what, file=file, value=value, remedy=DO_WITHOUT)
    return kept["class_id"].isin(small.index) & (params.small_classes == "drop")


def class_table(kept: pd.DataFrame, words: Mapping[str, ClassWords], file: Path) -> pd.DataFrame:
    """classes.csv: label (0-based, in the order of class_ids), class_id, name, n_train, n_val, n_test.

    Class ids that are all decimal numbers are ordered as numbers. Raises DataCheckFailed when nothing, or not every
    class, can be trained on, when fewer than two classes are left, or when one is an ancestor of another.
    """
    sizes = pd.crosstab(kept["class_id"], kept["split"]).reindex(columns=list(SPLITS), fill_value=0)
    order = sorted(sizes.index, key=_natural(sizes.index))
    sizes = sizes.loc[order].rename(columns={split: f"n_{split}" for split in SPLITS})
    _check_trainable(sizes, file)
    check_leaves(order, words, CLASS_WORDS)
    names = names_of(order, words)
    ids = pd.Series(order, dtype="str")
    head = pd.DataFrame({"label": np.arange(len(ids)), "class_id": ids, "name": ids.map(names).astype("str")})
    return head.join(sizes.reset_index(drop=True))


def _natural(ids: pd.Index) -> Callable[[str], Any]:
    return int if all(name.isascii() and name.isdigit() for name in ids) else str


def _check_trainable(sizes: pd.DataFrame, file: Path) -> None:
    n_by_split = sizes.sum().to_dict() if len(sizes) else {}
    for split in SPLITS:
        if not n_by_split.get(f"n_{split}"):
            others = f", raise curate.{split}_fraction in params.yaml, or give some the split {split} in {OVERRIDES}"
            remedy = "add pictures" + (others if split != "train" else f", or {FEWER}")
            raise DataCheckFailed(f"no {split} picture is left", file=file, remedy=remedy)
    empty = sizes.index[sizes["n_train"] == 0]
    if len(empty):
        what = f"{len(empty)} classes have no training picture"
        raise DataCheckFailed(what, file=file, value=", ".join(empty[:NAMED]), remedy=DO_WITHOUT)
    if len(sizes) < 2:
        what, value = "a classifier needs two classes", ", ".join(sizes.index)
        raise DataCheckFailed(what, file=file, value=value, remedy=f"add pictures of another class, or {FEWER}")


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
