"""Which pictures are copies of each other, and which copy stays.

Copies are equal in bytes, in pixels, or nearly so (`near.py`). Groups are the connected components of such pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline_lib.curate.near import NearPairs, Pairs, alike_hashes, alike_pixels
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.quality import low_information

SMALL_SIDE_PX = 64
AUTHORITY = {"received": 0, "votes": 1, "override": 2}
SPLIT_RANK = {"test": 0, "val": 1, "train": 2}
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Groups:
    """frame: index image_id, columns dup_group (smallest image_id of the group; NaN: no copies), dup_kind (NaN too).

    n_cut: hash buckets too large to compare in full.
    """

    frame: pd.DataFrame
    n_cut: int


@dataclass(frozen=True)
class Settled:
    """What becomes of copies, as boolean Series over the rows given.

    conflict: same picture, different classes. leak: training copy of a val or test picture. surplus: another copy of
    the same class stays. disputed: an evaluation picture that stays although a copy has another class.
    """

    conflict: pd.Series
    leak: pd.Series
    surplus: pd.Series
    disputed: pd.Series


def group_duplicates(
    rows: pd.DataFrame, thumbnails: pd.Series, params: CurateParams, *, apart: pd.Index | None = None
) -> Groups:
    """Group the copies among sound rows. thumbnails: bytes of the 32x32 grey thumbnail by image_id.

    apart: pictures that people called not_duplicate; they have no near copies.
    """
    by_bytes, by_pixels = _equal_pairs(rows["sha256"]), _equal_pairs(rows["pixel_hash"])
    unlike = np.zeros(len(rows), bool) if apart is None else rows.index.isin(apart)
    small, large = _near_small(rows, thumbnails, ~unlike, params), _near_large(rows, ~unlike, params)
    all_pairs = np.concatenate([by_bytes, by_pixels, small.pairs, large.pairs])
    ids = rows.index.to_numpy(dtype=object)
    component = _components(len(rows), all_pairs)
    smallest = pd.Series(ids).groupby(component).transform("min").to_numpy(dtype=object)
    in_group = np.bincount(component, minlength=1)[component] > 1
    kind = np.full(len(rows), None, dtype=object)
    for name, pairs in (("near", all_pairs), ("pixels", by_pixels), ("bytes", by_bytes)):
        kind[np.unique(pairs)] = name
    group = pd.Series(smallest, index=rows.index, dtype="str").where(in_group)
    return Groups(
        pd.DataFrame({"dup_group": group, "dup_kind": pd.Series(kind, index=rows.index, dtype="str")}),
        small.n_cut + large.n_cut,
    )


def settle(rows: pd.DataFrame, *, shielded: pd.Series) -> Settled:
    """Decide which copies stay. rows: dup_group, class_id, label_source, split and size in px, by image_id.

    Same class: one stays (test before val before train, more pixels, smaller image_id); a training copy of an
    evaluation picture is a leak. Different classes: the label with the highest authority (override, votes, received)
    holds if it is alone there; every other training copy is quarantined, every evaluation picture stays and is shown
    for review. shielded: rows a person decided to keep; they give way to evaluation only.
    """
    copies = rows[rows["dup_group"].notna()]
    train = copies["split"] == "train"
    group = copies["dup_group"]
    differing = copies.groupby(group)["class_id"].transform("nunique") > 1
    wrong = differing & ~_trusted(copies)
    leak = train & (~train).groupby(group).transform("any")
    conflict = wrong & train & ~shielded[copies.index]
    best = _best_first(copies[~conflict], shielded).duplicated(["dup_group", "class_id"], keep="first")
    surplus = best.reindex(copies.index, fill_value=False) & ~shielded[copies.index] & ~leak
    parts = {"conflict": conflict, "leak": leak, "surplus": surplus, "disputed": wrong & ~train}
    return Settled(**{name: mask.reindex(rows.index, fill_value=False).astype(bool) for name, mask in parts.items()})


def leaking(rows: pd.DataFrame) -> pd.Series:
    """Training rows that share pixels or a subject with a val or test row. rows: those that would be kept."""
    train = rows["split"] == "train"
    subject = rows["source"] + ":" + rows["subject"]
    tied = pd.Series(False, index=rows.index)
    for key in (rows["sha256"], rows["pixel_hash"], rows["dup_group"], subject):  # by hash too: a check of the groups
        tied |= key.isin(key[~train].dropna())
    return train & tied


def _trusted(copies: pd.DataFrame) -> pd.Series:
    """Rows whose label people decided (votes, override) and nobody of equal standing disputes within the group."""
    authority = copies["label_source"].map(AUTHORITY).fillna(0)
    highest = authority.groupby(copies["dup_group"]).transform("max")
    top = copies[(authority == highest) & (highest > 0)]
    unanimous = top.groupby("dup_group")["class_id"].agg(["nunique", "first"])
    label = unanimous["first"].where(unanimous["nunique"] == 1)
    return copies["class_id"] == copies["dup_group"].map(label)


def _best_first(copies: pd.DataFrame, shielded: pd.Series) -> pd.DataFrame:
    pixels = copies["width_px"].astype("int64") * copies["height_px"].astype("int64")
    rank = copies.assign(split_rank=copies["split"].map(SPLIT_RANK), n=-pixels, kept=~shielded[copies.index])
    return rank.rename_axis("image_id").sort_values(["split_rank", "kept", "n", "image_id"])


def _near_small(rows: pd.DataFrame, thumbnails: pd.Series, asked: Mask, params: CurateParams) -> NearPairs:
    chosen = np.flatnonzero(asked & (_short_side(rows) < SMALL_SIDE_PX) & rows.index.isin(thumbnails.index))
    if not len(chosen):
        return NearPairs(np.empty((0, 2), np.int64))
    stacked = np.frombuffer(b"".join(thumbnails[rows.index[chosen]]), np.uint8).reshape(len(chosen), -1)
    return NearPairs(chosen[alike_pixels(stacked, max_rms=params.dup_small_rms).pairs])


def _near_large(rows: pd.DataFrame, asked: Mask, params: CurateParams) -> NearPairs:
    """Blank pictures are left out: their hash is that of any other blank picture."""
    usable = asked & (_short_side(rows) >= SMALL_SIDE_PX) & ~low_information(rows) & rows["phash"].notna()
    chosen = np.flatnonzero(usable)
    hashes = rows["phash"].iloc[chosen].to_numpy(dtype=np.uint64)
    near = alike_hashes(hashes, max_bits=params.dup_auto_hamming)
    return NearPairs(chosen[near.pairs], near.n_cut)


def _short_side(rows: pd.DataFrame) -> NDArray[np.int64]:
    sides: NDArray[np.int64] = rows[["width_px", "height_px"]].to_numpy(dtype=np.int64)
    return np.asarray(sides.min(axis=1))


def _equal_pairs(keys: pd.Series) -> Pairs:
    """Each row with the next one of an equal key: enough to connect them."""
    codes = pd.factorize(keys)[0]
    order = np.argsort(codes, kind="stable")
    same = np.flatnonzero((codes[order][1:] == codes[order][:-1]) & (codes[order][1:] >= 0))
    return np.stack([order[same], order[same + 1]], axis=1).astype(np.int64)


def _components(n: int, pairs: Pairs) -> NDArray[np.int32]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    labels: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return labels
