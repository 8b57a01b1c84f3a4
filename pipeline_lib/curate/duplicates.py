"""Which images are copies of each other: equal in bytes, in pixels, or nearly so.

Every pair of a group agrees: complete linkage (Sorensen, 1948), never a chain. Ten trousers in one pose are alike one
to the next without any two being one image, so a group is joined only when each of its images agrees with each of the
other's. Pairs that are less alike are questions for a person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline_lib.curate.duplicate_hashes import ClosePairs, Pairs, close_pairs, proposed_pairs
from pipeline_lib.curate.duplicate_looks import looks_at
from pipeline_lib.curate.duplicate_neighbours import neighbour_pairs
from pipeline_lib.curate.duplicate_photographs import NOTHING
from pipeline_lib.curate.duplicate_small_images import (
    agreement,
    alike_details,
    alike_pixels,
    stacked,
)
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.quality import low_information

SMALL_SIDE_PX, THUMBNAIL_PX = 64, 32 * 32
EMBEDDING = "embedding:"  # how the kind of a network's vectors begins
Mask = NDArray[np.bool_]
Agree = Callable[[int, int], bool]  # whether two rows are copies
Views = Callable[[pd.Index], dict[str, bytes]]  # image_ids -> their `view` (tables/features.py)


@dataclass(frozen=True)
class Groups:
    """frame: index image_id, columns dup_group (smallest image_id of the group; NaN: no copies), dup_kind (NaN too) and
    framed: whether it shows what its copy shows in a frame, on a screen or under a caption.

    maybe: pairs that are not in one group and might be: image_id, other, score (1: certainly). n_cut: hash buckets too
    large to compare in full.
    """

    frame: pd.DataFrame
    maybe: pd.DataFrame
    n_cut: int


@dataclass(frozen=True)
class Near:
    """Row numbers of pairs: certain [n, 2] and maybe [m, 2], with their scores. agree: whether two rows are copies.

    framed: row numbers, see `Groups`.
    """

    certain: Pairs
    certain_score: NDArray[np.floating]
    maybe: Pairs
    score: NDArray[np.floating]
    agree: Agree
    n_cut: int = 0
    framed: frozenset[int] = frozenset()


def group_duplicates(
    rows: pd.DataFrame,
    features: pd.DataFrame,
    views: Views,
    params: CurateParams,
    *,
    apart: pd.Index | None = None,
) -> Groups:
    """Group the copies among sound rows. features: thumbnail (bytes, 32x32 grey), vector and kind by image_id.

    views: see `Views`. apart: images that people called not_duplicate; they have no near copies.
    """
    by_bytes, by_pixels = _equal_pairs(rows["sha256"]), _equal_pairs(rows["pixel_hash"])
    unlike = np.zeros(len(rows), bool) if apart is None else rows.index.isin(apart)
    seen = ~unlike & rows.index.isin(features.index)
    small = _near_small(rows, features, seen, params)
    large = _near_large(rows, features, views, seen, params)
    ids = rows.index.to_numpy(dtype=object)
    is_small = _short_side(rows) < SMALL_SIDE_PX
    component = complete_groups(
        len(rows),
        equal=np.concatenate([by_bytes, by_pixels]),
        near=np.concatenate([small.certain, large.certain]),
        score=np.concatenate([small.certain_score, large.certain_score]),
        agree=lambda a, b: (small if is_small[a] else large).agree(a, b),
    )
    smallest = pd.Series(ids).groupby(component).transform("min").to_numpy(dtype=object)
    in_group = np.bincount(component, minlength=1)[component] > 1
    kind = np.full(len(rows), None, dtype=object)
    kind[in_group] = "near"
    for name, pairs in (("pixels", by_pixels), ("bytes", by_bytes)):
        kind[np.unique(pairs)] = name
    group = pd.Series(smallest, index=rows.index, dtype="str").where(in_group)
    maybe = pd.concat([_maybe(ids, near, component) for near in (small, large)], ignore_index=True)
    framed = rows["pixel_hash"].isin(rows["pixel_hash"].iloc[sorted(large.framed)])
    return Groups(
        pd.DataFrame(
            {
                "dup_group": group,
                "dup_kind": pd.Series(kind, index=rows.index, dtype="str"),
                "framed": framed & in_group,
            }
        ),
        maybe,
        small.n_cut + large.n_cut,
    )


def _maybe(ids: NDArray[np.object_], near: Near, component: NDArray[np.int64]) -> pd.DataFrame:
    """The pairs of different groups, by name."""
    first, second = near.maybe.T
    apart = component[first] != component[second]
    pairs = pd.DataFrame(
        {"image_id": ids[second[apart]], "other": ids[first[apart]], "score": near.score[apart]}
    )
    pairs = pairs.sort_values(["image_id", "other", "score"], ascending=[True, True, False])
    return pairs.drop_duplicates(["image_id", "other"])


def _near_small(
    rows: pd.DataFrame, features: pd.DataFrame, seen: Mask, params: CurateParams
) -> Near:
    """By pixels, and by the details of neighbours in the feature space; as they stand, for a mirrored 2 is no copy."""
    chosen = np.flatnonzero(seen & (_short_side(rows) < SMALL_SIDE_PX))
    none = np.empty((0, 2), np.int64)
    if not len(chosen):
        return Near(none, np.empty(0), none, np.empty(0), lambda a, b: False)
    features = features.loc[rows.index[chosen]]
    thumbnails_NP = _thumbnails(features)
    equal = chosen[alike_pixels(thumbnails_NP, max_rms=params.dup_small_rms)]
    certain: list[Pairs] = [equal]
    certain_scores: list[NDArray[np.floating]] = [np.ones(len(equal))]
    maybe: list[Pairs] = [none]
    scores: list[NDArray[np.floating]] = [np.empty(0)]
    for kind in sorted(set(features["kind"])):
        of_kind = np.flatnonzero((features["kind"] == kind).to_numpy())
        vectors_ND = stacked(features.iloc[of_kind])
        alike = alike_details(vectors_ND, thumbnails_NP[of_kind], least=params.dup_review_agreement)
        pairs = chosen[of_kind[alike.pairs]]
        sure = alike.score >= params.dup_auto_agreement
        certain.append(pairs[sure])
        certain_scores.append(alike.score[sure])
        maybe.append(pairs)
        scores.append(alike.score)

    def agree(a: int, b: int) -> bool:
        two = thumbnails_NP[np.searchsorted(chosen, [a, b])]
        within = len(alike_pixels(two, max_rms=params.dup_small_rms)) > 0
        return within or bool(agreement(two, np.array([[0, 1]]))[0] >= params.dup_auto_agreement)

    return Near(
        np.concatenate(certain),
        np.concatenate(certain_scores),
        np.concatenate([*maybe, equal]),
        np.concatenate([*scores, np.ones(len(equal))]),
        agree,
    )


def _near_large(
    rows: pd.DataFrame, features: pd.DataFrame, views: Views, seen: Mask, params: CurateParams
) -> Near:
    """By perceptual hash or a network's features, and a closer look.

    Blank images are left out: their hash is that of any other blank one. A copy may be turned or mirrored, and may have
    lost its edges: then its hash is that of a centre of the original. What is only to be asked about is looked for in
    whole images as they stand, and among neighbours in the features.
    """
    usable = (
        seen & (_short_side(rows) >= SMALL_SIDE_PX) & ~low_information(rows) & rows["phash"].notna()
    )
    # one of each kind of pixels: the others go with it
    chosen = np.flatnonzero(usable & ~rows["pixel_hash"].where(usable).duplicated().to_numpy())
    whole_1N = rows["phash"].iloc[chosen].to_numpy(dtype=np.uint64)[None]
    proposed = _proposed(whole_1N, rows["phash_variants"].iloc[chosen], params)
    unsure = close_pairs(whole_1N, whole_1N, max_bits=params.dup_review_hamming)
    alike = _neighbours(features.loc[rows.index[chosen]], params)
    by_hash, by_vector = chosen[np.concatenate([proposed.pairs, unsure.pairs])], chosen[alike]
    jpegs = views(rows.index[np.unique(np.concatenate([by_hash, by_vector]))])
    aspect = (rows["width_px"] / rows["height_px"]).to_numpy(dtype=float)
    look = looks_at(
        lambda row: jpegs[rows.index[row]],
        lambda row: float(aspect[row]),
        variants=params.dup_variants,
    )

    # a copy by more bits than those of `proposed` is a question, unless keypoints show it too
    found = {pair: look.anywhere(*pair) for pair in map(tuple, by_hash.tolist())}
    certain = {pair for pair in map(tuple, chosen[proposed.pairs].tolist()) if found[pair].is_copy}
    for pair in map(tuple, by_vector.tolist()):
        if pair not in certain:
            found[pair] = max(found.get(pair, NOTHING), look.within(*pair))
            certain |= {pair} if look.within(*pair).is_copy else set()

    maybe = sorted(pair for pair, one in found.items() if one.is_copy or one.is_question)
    return Near(
        _pairs(sorted(certain)),
        np.array([found[pair].score for pair in sorted(certain)], float),
        _pairs(maybe),
        np.array([found[pair].score for pair in maybe], float),
        lambda a, b: look.anywhere(a, b).is_copy,
        proposed.n_cut + unsure.n_cut,
        look.framed(sorted(certain)) if params.dup_variants else frozenset(),
    )


def _pairs(pairs: list[tuple[int, ...]]) -> Pairs:
    return np.array(pairs, np.int64).reshape(-1, 2)


def _neighbours(features: pd.DataFrame, params: CurateParams) -> Pairs:
    """Row numbers of images that a network finds alike; none where the vectors are gradients."""
    found = [np.empty((0, 2), np.int64)]
    for kind in sorted(set(features["kind"])):
        if params.dup_variants and kind.startswith(EMBEDDING):
            of_kind = np.flatnonzero((features["kind"] == kind).to_numpy())
            found.append(of_kind[neighbour_pairs(stacked(features.iloc[of_kind]))])
    return np.concatenate(found)


def _proposed(
    whole_1N: NDArray[np.uint64], variants: pd.Series, params: CurateParams
) -> ClosePairs:
    if not params.dup_variants or not len(variants):
        return close_pairs(whole_1N, whole_1N, max_bits=params.dup_auto_hamming)
    return proposed_pairs(
        whole_1N[0], np.array(variants.to_list(), np.uint64).T, max_bits=params.dup_auto_hamming
    )


def _thumbnails(features: pd.DataFrame) -> NDArray[np.uint8]:
    """The thumbnails, one per line: uint8 [N, 1024]."""
    return np.frombuffer(b"".join(features["thumbnail"]), np.uint8).reshape(
        len(features), THUMBNAIL_PX
    )


def _short_side(rows: pd.DataFrame) -> NDArray[np.int64]:
    sides: NDArray[np.int64] = rows[["width_px", "height_px"]].to_numpy(dtype=np.int64)
    return np.asarray(sides.min(axis=1))


def _equal_pairs(keys: pd.Series) -> Pairs:
    """Each row with the next one of an equal key: enough to connect them."""
    codes = pd.factorize(keys)[0]
    order = np.argsort(codes, kind="stable")
    same = np.flatnonzero((codes[order][1:] == codes[order][:-1]) & (codes[order][1:] >= 0))
    return np.stack([order[same], order[same + 1]], axis=1).astype(np.int64)


def complete_groups(
    n: int, *, equal: Pairs, near: Pairs, score: NDArray[np.floating], agree: Agree
) -> NDArray[np.int64]:
    """A group number for each of `n` rows. equal: pairs of the same pixels, which are joined as they are.

    near: pairs [m, 2] that agree, joined from the highest score [m] on. agree: whether two rows of `near` (the smaller
    first) agree; asked once for each pair that a join depends on.
    """
    unit = _components(n, equal).astype(np.int64)  # rows of the same pixels
    group = np.arange(unit.max(initial=-1) + 1)  # of each unit
    speakers: dict[int, list[int]] = {}  # of a group: a row of each of its units
    for row in np.unique(near).tolist():
        speakers.setdefault(int(unit[row]), [row])
    units = {number: [number] for number in speakers}
    known = {(min(a, b), max(a, b)): True for a, b in near.tolist()}

    def agrees(a: int, b: int) -> bool:
        pair = (min(a, b), max(a, b))
        if pair not in known:
            known[pair] = agree(*pair)
        return known[pair]

    for at in np.lexsort((near[:, 1], near[:, 0], -score)):
        first, second = (int(group[unit[row]]) for row in near[at])
        if first != second and all(
            agrees(a, b) for a, b in product(speakers[first], speakers[second])
        ):
            group[units[second]] = first
            units[first] += units.pop(second)
            speakers[first] += speakers.pop(second)
    return np.asarray(group[unit])


def _components(n: int, pairs: Pairs) -> NDArray[np.int32]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    labels: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return labels
