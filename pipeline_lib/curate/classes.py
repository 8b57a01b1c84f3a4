"""Classes: what people say of them in curation/classes.csv, and which are left with how many images.

curation/classes.csv holds names, definitions and parents, and is tracked by git. It is a dictionary, not a list of the
classes to use: ancestors that no image has (ImageNet's inner synsets) belong in it, a class may be absent from it.
Merging, renaming and excluding are overrides.
"""

from __future__ import annotations

from collections import Counter
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

COLUMNS = ("class_id", "name", "definition", "parents")
SEPARATOR = ";"  # between parents
NAMED = 10  # examples in a message
DO_WITHOUT = (
    f"add images, exclude_class in {OVERRIDES}, or set curate.small_classes: drop in params.yaml"
)
FEWER = "lower curate.min_images_per_class where it dropped the others"


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
    for number, cells in read_lines(normalize("NFC", text), file, COLUMNS):
        if isinstance(cells, str):
            faults.append(f"line {number}: {cells}")
            continue
        if fault := _malformed(cells, found):
            faults.append(f"line {number}: {fault}")
            continue
        class_id, name, definition, parents = cells
        named = tuple(parent.strip() for parent in parents.split(SEPARATOR) if parent.strip())
        found[class_id] = ClassWords(class_id, name, definition, named)

    # Only when all lines are read: a parent may stand below its child.
    for word in found.values():
        faults += [
            f"{word.class_id}: no class {p!r} to be its parent"
            for p in word.parents
            if p not in found
        ]
    for class_id in found:
        if class_id in ancestors(class_id, found):
            faults.append(f"{class_id}: is an ancestor of itself")

    if faults:
        count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
        remedy = "fix these lines; docs/classes.md shows the file"
        raise ConfigError(count, file=file, value="; ".join(faults), remedy=remedy)
    return found


def ancestors(class_id: str, words: Mapping[str, ClassWords]) -> set[str]:
    """All classes above one, by any path; itself only where the parents form a circle."""
    above: set[str] = set()
    queue = list(words[class_id].parents) if class_id in words else []
    while queue:
        parent = queue.pop()
        if parent in above:
            continue
        above.add(parent)
        if parent in words:
            queue += words[parent].parents
    return above


def check_leaves(used: Iterable[str], words: Mapping[str, ClassWords], file: Path) -> None:
    """Raise DataCheckFailed when a class in use is an ancestor of another: an image could rightly have both labels."""
    used = sorted(used)
    chosen = set(used)
    pairs: list[str] = []
    for lower in used:
        above = sorted(ancestors(lower, words) & chosen)
        pairs += [f"{upper} above {lower}" for upper in above]
    if not pairs:
        return
    more = f" and {len(pairs) - NAMED} more" if len(pairs) > NAMED else ""
    raise DataCheckFailed(
        "classes in use lie above others in use",
        file=file,
        value=", ".join(pairs[:NAMED]) + more,
        remedy="merge_class or exclude_class one of each in curation/overrides.csv, or fix `parents`",
    )


def names_of(used: Iterable[str], words: Mapping[str, ClassWords]) -> dict[str, str]:
    """class_id -> its name in words, made unique: crane (n02012849), crane (n03126707)."""
    names: dict[str, str] = {}
    for class_id in used:
        in_words = words[class_id].name if class_id in words else ""
        names[class_id] = in_words or class_id

    n_of_name = Counter(names.values())
    unique: dict[str, str] = {}
    for class_id, name in names.items():
        is_shared = n_of_name[name] > 1 and name != class_id
        unique[class_id] = f"{name} ({class_id})" if is_shared else name
    return unique


def too_small(kept: pd.DataFrame, params: CurateParams, file: Path) -> pd.Series:
    """Rows of classes with fewer kept training images than asked for; none unless the policy is `drop`.

    kept: class_id and split of the rows that stand. Raises DataCheckFailed when the policy is `fail`.
    """
    train = kept[kept["split"] == "train"]
    class_ids = sorted(kept["class_id"].unique())
    n_train = train.groupby("class_id").size().reindex(class_ids, fill_value=0)
    small = n_train[n_train < params.min_images_per_class]
    if params.small_classes == "fail" and len(small):
        raise DataCheckFailed(
            f"{len(small)} classes have fewer than {params.min_images_per_class} training images",
            file=file,
            value=", ".join(f"{name}: {n}" for name, n in small.head(NAMED).items()),
            remedy=DO_WITHOUT,
        )
    return kept["class_id"].isin(small.index) & (params.small_classes == "drop")


def class_table(kept: pd.DataFrame, words: Mapping[str, ClassWords], file: Path) -> pd.DataFrame:
    """line/curate/classes.csv: label (0-based, in the order of class_ids), class_id, name, n_train, n_val, n_test.

    Class ids that are all decimal numbers are ordered as numbers. Raises DataCheckFailed when nothing, or not every
    class, can be trained on, when fewer than two classes are left, or when one is an ancestor of another.
    """
    sizes = pd.crosstab(kept["class_id"], kept["split"]).reindex(columns=list(SPLITS), fill_value=0)
    order = sorted(sizes.index, key=_natural(sizes.index))
    sizes = sizes.loc[order].rename(columns={split: f"n_{split}" for split in SPLITS})
    _check_trainable(sizes, file)
    check_leaves(order, words, CLASS_WORDS)

    ids = pd.Series(order, dtype="str")
    names = ids.map(names_of(order, words)).astype("str")
    head = pd.DataFrame({"label": np.arange(len(ids)), "class_id": ids, "name": names})
    return head.join(sizes.reset_index(drop=True))


def _malformed(values: list[str], found: Mapping[str, ClassWords]) -> str:
    if len(values) != len(COLUMNS):
        return f"{len(values)} cells instead of {len(COLUMNS)}"
    class_id = values[0]
    if not class_id:
        return "the class_id is empty"
    return f"class {class_id!r} stands there twice" if class_id in found else ""


def _natural(ids: pd.Index) -> Callable[[str], Any]:
    are_numbers = all(name.isascii() and name.isdigit() for name in ids)
    return int if are_numbers else str


def _check_trainable(sizes: pd.DataFrame, file: Path) -> None:
    # Every split has images.
    n_by_split = sizes.sum().to_dict() if len(sizes) else {}
    for split in SPLITS:
        if n_by_split.get(f"n_{split}"):
            continue
        remedy = f"add images, or {FEWER}"
        if split != "train":
            fraction = f"raise curate.{split}_fraction in params.yaml"
            remedy = f"add images, {fraction}, or give some the split {split} in {OVERRIDES}"
        raise DataCheckFailed(f"no {split} image is left", file=file, remedy=remedy)

    # Every class can be learnt.
    empty = sizes.index[sizes["n_train"] == 0]
    if len(empty):
        what = f"{len(empty)} classes have no training image"
        raise DataCheckFailed(what, file=file, value=", ".join(empty[:NAMED]), remedy=DO_WITHOUT)

    # There is something to tell apart.
    if len(sizes) < 2:
        remedy = f"add images of another class, or {FEWER}"
        raise DataCheckFailed(
            "a classifier needs two classes", file=file, value=", ".join(sizes.index), remedy=remedy
        )
