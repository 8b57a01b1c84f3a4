"""Which pictures are copies of each other: equal in bytes, in pixels, or nearly so.

Groups are the connected components of such pairs. Pairs that are less alike are questions for a person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline_lib.curate.alike_details import alike_details, stacked
from pipeline_lib.curate.hash_pairs import ClosePairs, Pairs, close_pairs, orientations
from pipeline_lib.curate.near import alike_pixels
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.quality import low_information
from pipeline_lib.curate.second_look import agreement

SMALL_SIDE_PX, THUMBNAIL_PX = 64, 32 * 32
# Agreement of details (`second_look.py`): from the first, what a hash proposes is a copy; from the second, a question.
CONFIRMED, ARGUABLE = 0.6, 0.4
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
    score: NDArray[np.floating]
    n_cut: int = 0


def group_duplicates(
    rows: pd.DataFrame, features: pd.DataFrame, params: CurateParams, *, apart: pd.Index | None = None
) -> Groups:
    """Group the copies among sound rows. features: thumbnail (bytes, 32x32 grey), vector and kind by image_id.

    apart: pictures that people called not_duplicate; they have no near copies.
    """
    by_bytes, by_pixels = _equal_pairs(rows["sha256"]), _equal_pairs(rows["pixel_hash"])
    unlike = np.zeros(len(rows), bool) if apart is None else rows.index.isin(apart)
    seen = ~unlike & rows.index.isin(features.index)
    small, large = _near_small(rows, features, seen, params), _near_large(rows, features, seen, params)
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
    pairs = pd.DataFrame({"image_id": ids[second[apart]], "other": ids[first[apart]], "score": near.score[apart]})
    pairs = pairs.sort_values(["image_id", "other", "score"], ascending=[True, True, False])
    return pairs.drop_duplicates(["image_id", "other"])


def _near_small(rows: pd.DataFrame, features: pd.DataFrame, seen: Mask, params: CurateParams) -> Near:
    """By pixels, and by the details of neighbours in the feature space; as they stand, for a mirrored 2 is no copy."""
    chosen = np.flatnonzero(seen & (_short_side(rows) < SMALL_SIDE_PX))
    none = np.empty((0, 2), np.int64)
    if not len(chosen):
        return Near(none, none, np.empty(0))
    features = features.loc[rows.index[chosen]]
    thumbnails_NP = _thumbnails(features)
    certain = [chosen[alike_pixels(thumbnails_NP, max_rms=params.dup_small_rms)]]
    maybe, scores = [none], [np.empty(0, np.float32)]
    for kind in sorted(set(features["kind"])):
        of_kind = np.flatnonzero((features["kind"] == kind).to_numpy())
        vectors_ND = stacked(features.iloc[of_kind])
        alike = alike_details(vectors_ND, thumbnails_NP[of_kind], least=params.dup_review_agreement)
        pairs = chosen[of_kind[alike.pairs]]
        certain.append(pairs[alike.score >= params.dup_auto_agreement])
        maybe.append(pairs)
        scores.append(alike.score)
    return Near(np.concatenate(certain), np.concatenate(maybe), np.concatenate(scores))


def _near_large(rows: pd.DataFrame, features: pd.DataFrame, seen: Mask, params: CurateParams) -> Near:
    """By perceptual hash and a second look. Blank pictures are left out: their hash is that of any other blank one.

    A copy may be turned or mirrored, and may have lost its edges: then its hash is that of a centre of the original.
    What is only to be asked about is looked for in whole pictures as they stand.
    """
    usable = seen & (_short_side(rows) >= SMALL_SIDE_PX) & ~low_information(rows) & rows["phash"].notna()
    chosen = np.flatnonzero(usable)
    whole_1N = rows["phash"].iloc[chosen].to_numpy(dtype=np.uint64)[None]
    proposed = _proposed(whole_1N, rows["phash_variants"].iloc[chosen], params)
    unsure = close_pairs(whole_1N, whole_1N, max_bits=params.dup_review_hamming)
    thumbnails_NP = _thumbnails(features.loc[rows.index[chosen]])
    score = agreement(thumbnails_NP, proposed.pairs, turned=params.dup_variants)
    unsure_score = agreement(thumbnails_NP, unsure.pairs)
    pairs, scores = np.concatenate([proposed.pairs, unsure.pairs]), np.concatenate([score, unsure_score])
    maybe = scores >= ARGUABLE
    certain = proposed.pairs[score >= CONFIRMED]
    return Near(chosen[certain], chosen[pairs[maybe]], scores[maybe], proposed.n_cut + unsure.n_cut)


def _proposed(whole_1N: NDArray[np.uint64], crops: pd.Series, params: CurateParams) -> ClosePairs:
    if not params.dup_variants or not len(crops):
        return close_pairs(whole_1N, whole_1N, max_bits=params.dup_auto_hamming)
    stored_VN = np.concatenate([whole_1N, np.array(crops.to_list(), dtype=np.uint64).T])
    return close_pairs(orientations(whole_1N[0]), stored_VN, max_bits=params.dup_auto_hamming)


def _thumbnails(features: pd.DataFrame) -> NDArray[np.uint8]:
    """The thumbnails, one per line: uint8 [N, 1024]."""
    return np.frombuffer(b"".join(features["thumbnail"]), np.uint8).reshape(len(features), THUMBNAIL_PX)


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
