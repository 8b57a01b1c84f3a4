"""Evidence in names alone that folders hold one person, place, day or scene each, and are no classes.

A class of few images and a burst of few images look alike, so that each rule wants more than that: many folders whose names
are ids, or whose files have the same names in all of them (the bands of a satellite image, the views of an object).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from itertools import takewhile

MANY = 10  # folders
FEW_EACH = 5  # images in a folder, on average, where its name is an id
ONE_EACH = 1.1  # the same, where a class would have one image
SAME_NAMES = (2, 30)  # files in a folder whose names may tell bands or views
NEARLY_ALL = 0.9  # of the folders
_THINGS = (
    "fold|part|batch|shard|chunk|set|split|session|cv|kfold|images|imgs|patient|subject|case|study|visit|user|participant"
    "|slide|scan|scene|burst|sequence|seq|clip|video|frames|track|tracklet|recording|location|loc|camera|cam|site|tile|patch"
)
_PARTS = re.compile(
    rf"(.*[ _-])?({_THINGS})[ _-]?\d+([ _-]\w*\d)*"  # patient_004_node_0
    r"|(patient|subject|participant|scene|session|sequence|burst)[ _-].+",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"(19|20)\d\d([-_. ]?(0[1-9]|1[0-2])([-_. ]?(0[1-9]|[12]\d|3[01]))?)?([T _-]\d[\d_.:-]*)?"
    r"|(0?[1-9]|[12]\d|3[01])[-_.](0?[1-9]|1[0-2])[-_.](19|20)\d\d"
)
_CARD = re.compile(
    r"[1-9]\d\d[A-Z_][A-Z0-9_]{4}"
)  # of a camera's card, by the standard DCF: 100APPLE, 101CANON
_YEAR_OF_PHOTOS = re.compile(
    r"[^\W\d]+( [^\W\d]+)* (19|20)\d\d"
)  # Photos from 2023, as Google Takeout has it
STATES = frozenset(
    {
        "done", "todo", "new", "old", "backup", "raw", "processed", "unprocessed", "labeled", "labelled", "unlabeled",
        "unlabelled", "sorted", "unsorted", "reviewed", "unreviewed", "final", "draft", "inbox", "archive", "finished",
    }
)  # fmt: skip
_HEX = re.compile(r"(?=.*\d)(?=.*[a-f])[0-9a-f]{8,}(-[0-9a-f]{4,})*", re.IGNORECASE)
_WNID = re.compile(r"n\d{8}")


def are_parts(folders: Collection[str]) -> bool:
    """Whether folders are numbered like parts of a data set, or like persons: fold1, patient0007; VG_100K and VG_100K_2."""
    if len(folders) < 2:
        return False
    first = min(folders, key=len)
    further = re.compile(rf"{re.escape(first)}([ _-]?\d+)?")
    return all(map(_PARTS.fullmatch, folders)) or (
        not first.isdecimal() and all(map(further.fullmatch, folders))
    )


def why_no_classes(files: Mapping[str, Collection[str]]) -> str:
    """A clause on what speaks against classes; "" for nothing. files: folder -> names of its files without their endings."""
    n_images = sum(map(len, files.values()))
    some = ", ".join(sorted(files)[:3])
    if len(files) > 1 and all(map(_DATE.fullmatch, files)):
        return f"folders are named by dates ({some}, ...)"
    if len(files) > 1 and all(map(_CARD.fullmatch, files)):
        return f"folders are those of a camera's card ({some}, ...)"
    if len(files) > 1 and all(map(_YEAR_OF_PHOTOS.fullmatch, files)):
        return f"folders are named by years ({some}, ...)"
    if len(files) > 1 and {re.sub(r"[\W_]", "", one.lower()) for one in files} <= STATES:
        return f"folders are named by the state of the work ({some})"
    if len(files) < MANY:
        return ""
    if n_images <= ONE_EACH * len(files):
        return f"there are nearly as many folders as images ({len(files)} for {n_images})"
    if names := _repeated(files):
        what = f"nearly all of {len(files)} folders hold files of the same names"
        return f"{what} ({', '.join(names[:3])}, ... in {some}, ...)"
    if n_images <= FEW_EACH * len(files) and _are_ids(files):
        each = n_images / len(files)
        return (
            f"{len(files)} folders are named by ids and hold {each:.1f} images each ({some}, ...)"
        )
    return ""


def _repeated(files: Mapping[str, Collection[str]]) -> list[str]:
    """The names that nearly all folders repeat, apart from their own; [] for numbers, as classes are numbered too."""
    sets = Counter(
        frozenset(stem.replace(folder, "") for stem in stems) for folder, stems in files.items()
    )
    names, n_folders = sets.most_common(1)[0]
    low, high = SAME_NAMES
    if n_folders < NEARLY_ALL * len(files) or not low <= len(names) <= high:
        return []
    same = takewhile(lambda pair: pair[0] == pair[1], zip(min(names), max(names), strict=False))
    shared = len(list(same))
    is_word = any(letter.isalpha() for name in names for letter in name[shared:])
    return sorted(names) if is_word else []


def _are_ids(folders: Collection[str]) -> bool:
    """Whether names are random, or differ in their numbers alone without counting from 0 or 1."""
    if sum(bool(_HEX.fullmatch(one)) for one in folders) >= NEARLY_ALL * len(folders):
        return True
    kinds = Counter(re.sub(r"\d+", "#", one) for one in folders)
    kind, n = kinds.most_common(1)[0]
    if "#" not in kind or n < NEARLY_ALL * len(folders) or all(map(_WNID.fullmatch, folders)):
        return False
    if kind.count("#") > 1:
        return True
    numbers = sorted(int(re.sub(r"\D", "", one)) for one in folders if re.search(r"\d", one))
    return numbers[-1] > len(numbers)
