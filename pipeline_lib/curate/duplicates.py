"""Which pictures are copies of each other: equal in bytes, in pixels, or nearly so.

Groups are the connected components of such pairs. Pairs that are less alike are questions for a person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline_lib.curate.hash_pairs import ClosePairs, Pairs, close_pairs, orientations
from pipeline_lib.curate.near import alike_pixels
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.quality import low_information

SMALL_SIDE_PX = 64
HASH_BITS = 64
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Groups:
    """frame: index image_id, columns dup_group (smallest image_id of the group; NaN: no copies), dup_kind (NaN too).

    maybe: pairs that are not in one group and might be: image_id, other, score (1: certainly). n_cut: hash buckets too
    large to compare in full.
    """

    frame: pd.DataFrame
    maybe: pd.DataFrame
    n_cut: int


@dataclass(frozen=True)
class Near:
    """Row numbers of pairs [n, 2]: certain, and maybe [m, 2] with their score [m]."""

    certain: Pairs
    maybe: Pairs
    score: NDArray[np.float64]
    n_cut: int = 0


def group_duplicates(
    rows: pd.DataFrame, thumbnails: pd.Series, params: CurateParams, *, apart: pd.Index | None = None
) -> Groups:
    """Group the copies among sound rows. thumbnails: bytes of the 32x32 grey thumbnail by image_id.

    apart: pictures that people called not_duplicate; they have no near copies.
    """
    by_bytes, by_pixels = _equal_pairs(rows["sha256"]), _equal_pairs(rows["pixel_hash"])
    unlike = np.zeros(len(rows), bool) if apart is None else rows.index.isin(apart)
    small, large = _near_small(rows, thumbnails, ~unlike, params), _near_large(rows, ~unlike, params)
    all_pairs = np.concatenate([by_bytes, by_pixels, small.certain, large.certain])
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
        pd.concat([_maybe(ids, near, component) for near in (small, large)], ignore_index=True),
        small.n_cut + large.n_cut,
    )


def _maybe(ids: NDArray[np.object_], near: Near, component: NDArray[np.int32]) -> pd.DataFrame:
    """The pairs of different groups, by name."""
    first, second = near.maybe.T
    apart = component[first] != component[second]
    return pd.DataFrame({"image_id": ids[second[apart]], "other": ids[first[apart]], "score": near.score[apart]})


def _near_small(rows: pd.DataFrame, thumbnails: pd.Series, asked: Mask, params: CurateParams) -> Near:
    chosen = np.flatnonzero(asked & (_short_side(rows) < SMALL_SIDE_PX) & rows.index.isin(thumbnails.index))
    none = np.empty((0, 2), np.int64)
    if not len(chosen):
        return Near(none, none, np.empty(0))
    stacked = np.frombuffer(b"".join(thumbnails[rows.index[chosen]]), np.uint8).reshape(len(chosen), -1)
    return Near(chosen[alike_pixels(stacked, max_rms=params.dup_small_rms)], none, np.empty(0))


def _near_large(rows: pd.DataFrame, asked: Mask, params: CurateParams) -> Near:
    """By perceptual hash. Blank pictures are left out: their hash is that of any other blank picture.

    A copy may be turned or mirrored, and may have lost its edges: then its hash is that of a centre of the original.
    What is only to be asked about is looked for in whole pictures as they stand.
    """
    usable = asked & (_short_side(rows) >= SMALL_SIDE_PX) & ~low_information(rows) & rows["phash"].notna()
    chosen = np.flatnonzero(usable)
    whole_1N = rows["phash"].iloc[chosen].to_numpy(dtype=np.uint64)[None]
    certain = _certain(whole_1N, rows["phash_variants"].iloc[chosen], params)
    unsure = close_pairs(whole_1N, whole_1N, max_bits=params.dup_review_hamming)
    score = 1 - unsure.bits / HASH_BITS
    return Near(chosen[certain.pairs], chosen[unsure.pairs], score, certain.n_cut + unsure.n_cut)


def _certain(whole_1N: NDArray[np.uint64], crops: pd.Series, params: CurateParams) -> ClosePairs:
    if not params.dup_variants or not len(crops):
        return close_pairs(whole_1N, whole_1N, max_bits=params.dup_auto_hamming)
    stored_VN = np.concatenate([whole_1N, np.array(crops.to_list(), dtype=np.uint64).T])
    return close_pairs(orientations(whole_1N[0]), stored_VN, max_bits=params.dup_auto_hamming)


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
