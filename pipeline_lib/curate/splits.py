"""Which split a picture belongs to: a pure hash, so that no row ever moves when others come or go.

The hash is taken of the split key: the subject (person, burst) where there is one, else the pixels, else the bytes.
Exact copies therefore fall together whatever their names. A near copy may fall elsewhere; then the training copy
leaves (`duplicates.py`), because evaluation never moves. The key holds no other picture: the id of a duplicate group
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


def assign_splits(keys: pd.Series, published: pd.Series, params: CurateParams) -> pd.Series:
    """train, val or test per row.

    keys: see `split_keys`. published: the source's own split, empty where it has none; it is respected. When every
    picture was published and none as val (or test), that split is cut out of train by the hash: training without
    validation and a model without test are no use. Stratified in expectation: every class has the same chance.
    """
    draw = pd.Series(hash_01(keys, params.split_salt), index=keys.index)
    drawn = pd.Series("train", index=keys.index, dtype="str")
    drawn = drawn.mask(draw < params.test_fraction + params.val_fraction, "val")
    drawn = drawn.mask(draw < params.test_fraction, "test")
    if published.isna().any():
        return published.fillna(drawn).rename("split")
    missing = {"val", "test"} - set(published)
    cut = (published == "train") & drawn.isin(missing)
    return published.mask(cut, drawn).rename("split")


def hash_01(keys: Iterable[str], salt: str) -> NDArray[np.float64]:
    """A uniform number in [0, 1) for each key: blake2b-64 of salt and key."""
    state = hashlib.blake2b(salt.encode() + b"\0", digest_size=8)
    numbers: dict[str, float] = {}
    for key in keys:
        if key not in numbers:
            hashed = state.copy()
            hashed.update(key.encode())
            numbers[key] = int.from_bytes(hashed.digest(), "big") / TWO_64
    return np.array([numbers[key] for key in keys], dtype=np.float64)
