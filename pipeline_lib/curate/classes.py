"""The classes that are left: their sizes, their order, their cap, and the weights of their rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline_lib.curate.class_words import ClassWords, check_leaves, names_of
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.splits import hash_01
from pipeline_lib.errors import DataCheckFailed
from pipeline_lib.tables.manifest import SPLITS

NAMED = 10  # examples in a message
BETA = 0.999  # of the effective number of samples; the middle of the paper's 0.9 to 0.9999
OVERRIDES, CLASS_WORDS = "curation/overrides.csv", Path("curation/classes.csv")
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


def over_cap(standing: pd.DataFrame, params: CurateParams) -> pd.Series:
    """Training rows beyond `cap_per_class`; val and test are never cut.

    standing: class_id, split, group_id, keep and relabel of the rows that stand. What a person kept or relabelled
    comes first, then the order of a hash of the picture, so that new pictures displace few old ones.
    """
    train = standing[standing["split"] == "train"]
    if params.cap_per_class is None or train.empty:
        return pd.Series(False, index=standing.index)
    order = pd.DataFrame(
        {
            "class_id": train["class_id"],
            "wanted": ~(train["keep"] | train["relabel"].notna()),
            "draw": hash_01(train.index, f"cap {params.split_salt}"),
        }
    ).sort_values(["class_id", "wanted", "draw"], kind="stable")
    rank = order.groupby("class_id", sort=False).cumcount()
    return (rank >= params.cap_per_class).reindex(standing.index, fill_value=False)


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


def row_weights(kept: pd.DataFrame, params: CurateParams) -> pd.Series:
    """Weight in the loss by image_id: by class size in training, mean 1 over the training rows; 1 in val and test.

    `effective`: 1 / ((1 - beta^n) / (1 - beta)), the effective number of samples (Y. Cui, M. Jia, T.-Y. Lin, Y. Song,
    S. Belongie, "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, equation 2).
    """
    train = kept["split"] == "train"
    size = kept["class_id"].map(kept[train].groupby("class_id").size()).astype(float)
    powers = {"none": 0.0, "sqrt": -0.5, "inverse": -1.0}
    if params.class_weights == "effective":
        weight = (1 - BETA) / (1 - BETA**size)
    else:
        weight = size ** powers[params.class_weights]
    return (weight / weight[train].mean()).where(train, 1.0).astype("float32")


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
