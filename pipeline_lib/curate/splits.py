"""Which split an image belongs to: a pure hash, so that no row moves when images come or go. And what would leak.

One thing can move rows: where all sources publish splits and one is missing among them, it is cut out of train; a new
source that brings the missing split, or leaves its splits to us, ends that.

The hash is taken of the split key: the subject (person, burst) where there is one, else the pixels, else the bytes.
Exact copies therefore fall together whatever their names. A near copy may fall elsewhere; then the training copy
leaves (`duplicate_choice.py`), because evaluation never moves. The key holds no other image: the id of a duplicate
group would change, and move its members, with the next copy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline_lib.curate.params import CurateParams

TWO_64 = float(2**64)


def split_keys(rows: pd.DataFrame) -> pd.Series:
    """What the split hashes, per row: subject, else pixel hash, else sha256, else image_id."""
    by_subject = "subject:" + rows["source"] + ":" + rows["subject"]
    by_pixels = "pixels:" + rows["pixel_hash"]
    by_bytes = "bytes:" + rows["sha256"]
    by_name = pd.Series("name:" + rows.index.to_series(), index=rows.index)

    keys = by_subject.where(rows["subject"].notna())
    keys = keys.fillna(by_pixels).fillna(by_bytes).fillna(by_name)
    return keys.rename("group_id")


def assign_splits(keys: pd.Series, rows: pd.DataFrame, params: CurateParams) -> pd.Series:
    """train, val or test per row, by image_id.

    keys: see `split_keys`. rows: source and split_received (NaN where the source publishes none), same index. Published
    splits are respected. Where every source publishes splits and none of them has a val (or test), that one is cut out
    of train by the hash: training needs a val, a model a test. Stratified in expectation: classes have equal chances.
    """
    # The lowest draws are test, the next val: another val_fraction then moves no test image.
    draw = pd.Series(hash_01(keys, params.split_salt), index=keys.index)
    drawn = pd.Series("train", index=keys.index, dtype="str")
    drawn = drawn.mask(draw < params.test_fraction + params.val_fraction, "val")
    drawn = drawn.mask(draw < params.test_fraction, "test")

    # Where some source leaves its splits to us, a missing one comes from there, and no published train is cut.
    published = rows["split_received"]
    missing = {"val", "test"} - set(published.dropna())
    publishes_splits = published.notna().groupby(rows["source"]).any()
    if not publishes_splits.all():
        missing = set()
    cut = (published == "train") & drawn.isin(missing)
    return published.fillna(drawn).mask(cut, drawn).rename("split")


def leaking(rows: pd.DataFrame) -> pd.Series:
    """Training rows that share pixels or a subject with a val or test row. rows: those that would be kept."""
    train = rows["split"] == "train"
    evaluated = ~train.to_numpy()
    subject = rows["source"] + ":" + rows["subject"]
    tied = pd.Series(False, index=rows.index)
    for key in (
        rows["sha256"],
        rows["pixel_hash"],
        rows["dup_group"],
        subject,
    ):  # by hash too: a check of the groups
        code, distinct = pd.factorize(key)
        is_evaluated = np.zeros(
            len(distinct) + 1, bool
        )  # the last one stands for no key, which ties nothing
        is_evaluated[code[evaluated]] = True
        is_evaluated[-1] = False
        tied |= is_evaluated[code]
    return train & tied


def leaks_if_split_by_file(rows: pd.DataFrame, params: CurateParams) -> int:
    """How many training images would be tied to evaluation if splits were drawn file by file, as is usual."""
    file_names = rows.index.to_series()
    drawn = assign_splits(file_names, rows, params)
    return int(leaking(rows.assign(split=drawn)).sum())


def hash_01(keys: Iterable[str], salt: str) -> NDArray[np.float64]:
    """A uniform number in [0, 1) for each key: blake2b-64 of salt and key."""
    salted = hashlib.blake2b(salt.encode() + b"\0", digest_size=8)

    def digest(key: str) -> bytes:
        state = salted.copy()
        state.update(key.encode())
        return state.digest()

    # Each distinct key once: a million images of ten thousand people have ten thousand keys.
    code, distinct = pd.factorize(pd.Series(keys, dtype="str"))
    digests = b"".join(map(digest, distinct.tolist()))
    numbers = np.frombuffer(digests, dtype=">u8").astype(np.float64) / TWO_64
    return np.asarray(numbers[code])
