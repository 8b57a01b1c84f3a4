"""Which split a picture belongs to: a pure hash, so that no row moves when pictures come or go.

One thing can move rows: where all sources publish splits and one is missing among them, it is cut out of train; a new
source that brings the missing split, or leaves its splits to us, ends that.

The hash is taken of the split key: the subject (person, burst) where there is one, else the pixels, else the bytes.
Exact copies therefore fall together whatever their names. A near copy may fall elsewhere; then the training copy
leaves (`settle.py`), because evaluation never moves. The key holds no other picture: the id of a duplicate group
would change, and move its members, with the next copy.
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
    subject = ("subject:" + rows["source"] + ":" + rows["subject"]).where(rows["subject"].notna())
    by_name = pd.Series("name:" + rows.index.to_series(), index=rows.index)
    keys = subject.fillna("pixels:" + rows["pixel_hash"]).fillna("bytes:" + rows["sha256"]).fillna(by_name)
    return keys.rename("group_id")


def assign_splits(keys: pd.Series, rows: pd.DataFrame, params: CurateParams) -> pd.Series:
    """train, val or test per row, by image_id.

    keys: see `split_keys`. rows: source and split_received (NaN where the source publishes none), same index. Published
    splits are respected. Where every source publishes splits and none of them has a val (or test), that one is cut out
    of train by the hash: training needs a val, a model a test. Stratified in expectation: classes have equal chances.
    """
    draw = pd.Series(hash_01(keys, params.split_salt), index=keys.index)
    drawn = pd.Series("train", index=keys.index, dtype="str")
    drawn = drawn.mask(draw < params.test_fraction + params.val_fraction, "val").mask(
        draw < params.test_fraction, "test"
    )
    published = rows["split_received"]
    missing = {"val", "test"} - set(published.dropna())
    if not published.notna().groupby(rows["source"]).any().all():
        missing = set()  # some source leaves its splits to us: they come from there
    cut = (published == "train") & drawn.isin(missing)
    return published.fillna(drawn).mask(cut, drawn).rename("split")


def leaking(rows: pd.DataFrame) -> pd.Series:
    """Training rows that share pixels or a subject with a val or test row. rows: those that would be kept."""
    train = rows["split"] == "train"
    subject = rows["source"] + ":" + rows["subject"]
    tied = pd.Series(False, index=rows.index)
    for key in (rows["sha256"], rows["pixel_hash"], rows["dup_group"], subject):  # by hash too: a check of the groups
        code, distinct = pd.factorize(key)
        evaluated = np.zeros(len(distinct) + 1, bool)  # the last one stands for no key, which ties nothing
        evaluated[code[~train.to_numpy()]] = True
        evaluated[-1] = False
        tied |= evaluated[code]
    return train & tied


def leaks_if_split_by_file(rows: pd.DataFrame, params: CurateParams) -> int:
    """How many training pictures would be tied to evaluation if splits were drawn file by file, as is usual."""
    drawn = assign_splits(rows.index.to_series(), rows, params)
    return int(leaking(rows.assign(split=drawn)).sum())


def hash_01(keys: Iterable[str], salt: str) -> NDArray[np.float64]:
    """A uniform number in [0, 1) for each key: blake2b-64 of salt and key."""
    salted = hashlib.blake2b(salt.encode() + b"\0", digest_size=8)

    def digest(key: str) -> bytes:
        state = salted.copy()
        state.update(key.encode())
        return state.digest()

    code, distinct = pd.factorize(pd.Series(keys, dtype="str"))
    numbers = np.frombuffer(b"".join(map(digest, distinct.tolist())), dtype=">u8").astype(np.float64) / TWO_64
    return np.asarray(numbers[code])
