"""Folder names that stand for a split: train, `images_val`, `Training-Set`, `ILSVRC2012_img_train` beside `..._val`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import reduce

SPLIT_FOLDERS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What is taken for a split without asking, in any case of its letters."""

_WORDS: Mapping[str, str] = SPLIT_FOLDERS | {
    "trn": "train", "trainval": "train", "trainset": "train", "trainingset": "train", "trainingsdaten": "train",
    "dev": "val", "devel": "val", "development": "val", "devset": "val", "valset": "val", "validationset": "val",
    "validierung": "val", "validate": "val",
    "tst": "test", "testset": "test", "testdaten": "test", "holdout": "test", "heldout": "test",
    "eval": "val", "evaluation": "val", "evalset": "val",
}  # fmt: skip
_EVALUATION = frozenset(
    {"eval", "evaluation", "evalset"}
)  # val, or test where another folder is val
_SAYS_NOTHING = {
    "set", "data", "dataset", "split", "folder", "dir", "images", "image", "imgs", "img", "picture", "pictures", "pics",
    "photos", "photo", "jpg", "jpeg", "png", "crops",
}  # fmt: skip


def split_names(siblings: Iterable[str]) -> dict[str, str]:
    """Return folder -> train, val or test, for the sibling folders whose name contains a split.

    Words that all siblings share (`pets_train`, `pets_test`) and words like `set` and `images` say nothing; then one
    word must be left, so that `bullet_train` beside `tram` is a class.
    """
    words = {name: tuple(re.findall(r"[^\W\d_]+|\d+", name.lower())) for name in siblings}
    shared = reduce(set.intersection, map(set, words.values())) if len(words) > 1 else set()
    left = {
        name: [word for word in of_name if word not in shared | _SAYS_NOTHING]
        for name, of_name in words.items()
    }
    named = {
        name: of_name[0]
        for name, of_name in left.items()
        if len(of_name) == 1 and of_name[0] in _WORDS
    }
    has_val = any(_WORDS[word] == "val" and word not in _EVALUATION for word in named.values())
    return {
        name: "test" if word in _EVALUATION and has_val else _WORDS[word]
        for name, word in sorted(named.items())
    }
