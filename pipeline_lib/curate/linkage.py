"""Groups of images of which every pair agrees: complete linkage (Sorensen, 1948), never a chain.

Ten trousers in one pose are alike one to the next without any two being one image. A group is therefore joined only
when each of its images agrees with each of the other's.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.curate.hash_pairs import Pairs

Agree = Callable[[int, int], bool]


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
        if first != second and all(agrees(a, b) for a, b in product(speakers[first], speakers[second])):
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
