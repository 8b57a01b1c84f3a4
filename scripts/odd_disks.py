"""Folders as they lie on people's disks, small: rows of docs/layouts.md, as those of odd_folders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from scripts.odd_folders import MANY, Row, below, each, files

_TWO: Final = "cat 8, dog 8"
DISKS: Final[Mapping[str, Row]] = {
    "folders of what is unsorted or thrown away": Row(
        files(*below("cat", "dog", n=MANY), *below("unsorted", "tmp", "New folder (2)")),
        _TWO,
        left_out=6,
    ),
    "thumbnails below each class": Row(
        files(*below("cat", "dog", "cat/thumbnails", "dog/thumbnails", n=MANY)), _TWO, left_out=16
    ),
    "an archive per class, which holds a folder of its name": Row(
        {f"{c}.tar": dict.fromkeys(below(c, n=MANY)) for c in ("cat", "dog")}, _TWO
    ),
    "a camera's card": Row(
        files(*below("DCIM/100APPLE", "DCIM/101APPLE", n=MANY)), "",
        asks="folders are those of a camera's card (100APPLE, 101APPLE, ...)",
    ),
    "done and to do": Row(
        files(*below("done", "todo", n=MANY)), "done 8, todo 8", {"layout": "class_folders"},
        asks="folders are named by the state of the work (done, todo)",
    ),
    "two folders for one split": Row(
        files(*each("train test holdout", n=4)), "cat 8, dog 8; test 8, train 8",
        {"splits": {"train": "train", "test": "test"}, "exclude": ("holdout",)}, left_out=8,
        asks="folders are named like splits (holdout, test, train)",
    ),
}  # fmt: skip
