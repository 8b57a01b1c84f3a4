"""How few subjects fall into splits: by the hash of `curate`, so that `perennial init` can say it before the work.

Twelve persons leave val empty in a quarter of all draws. Which draw is used may depend on which splits and classes it
fills, and on nothing else: that is stratification, and no look at a result.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.splits import hash_01

SALTS = 200  # tried, beside the default
MOST_PAIRS = 5_000  # of class and subject; more of them fill every split


@dataclass(frozen=True)
class SubjectSplits:
    """salt: for curate.split_salt. lacking: splits without images of a class, such as `val of hat`."""

    salt: str
    lacking: tuple[str, ...]


def split_subjects(pairs: Collection[tuple[str, str]], published: Collection[str]) -> SubjectSplits:
    """Choose the first salt whose splits have images of every class, else the one that lacks least.

    pairs: class and `source:subject` of the images whose split is drawn. published: splits that folders or a table bring.
    """
    default = CurateParams()
    if not pairs or len(pairs) > MOST_PAIRS:
        return SubjectSplits(default.split_salt, ())
    ordered = sorted(pairs)
    classes = sorted({label for label, _ in ordered})
    class_of = np.array([classes.index(label) for label, _ in ordered])
    keys = [f"subject:{subject}" for _, subject in ordered]
    best: SubjectSplits | None = None
    for salt in (default.split_salt, *map(str, range(1, SALTS + 1))):
        draw = hash_01(keys, salt)
        is_test = draw < default.test_fraction
        is_val = ~is_test & (draw < default.test_fraction + default.val_fraction)
        drawn = {"train": ~is_test & ~is_val, "val": is_val, "test": is_test}
        lacking = tuple(
            f"{split} of {label}"
            for split, is_in in drawn.items()
            if split == "train" or split not in published
            for k, label in enumerate(classes)
            if not (is_in & (class_of == k)).any()
        )
        if best is None or len(lacking) < len(best.lacking):
            best = SubjectSplits(salt, lacking)
        if not lacking:
            break
    assert best is not None
    return best
