"""Which pictures an epoch shows, and in which order: pure functions of the pictures' keys, the seed and the epoch."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader.keyed_random import U64, Draw, random_bits, random_uniform

Sampling = Literal["as_is", "balanced"]


def shuffled(keys_N: U64, *, seed: int, epoch: int) -> Array:
    """Every position once: sorted by a random number each, so pictures that come or go reorder no others."""
    return np.argsort(random_bits(keys_N, Draw.ORDER, seed=seed, epoch=epoch))


def balanced(keys_N: U64, labels_N: Array, *, seed: int, epoch: int) -> Array:
    """N positions drawn with replacement: for each place of the epoch a class, then a picture of it, both uniform.

    So a class is expected N / K times whatever its size, as torch's WeightedRandomSampler with weights of one over the
    size of the class does it. Pictures of a class stand in the order of their keys, not of the selection.
    """
    places_N = np.arange(len(keys_N), dtype=np.uint64)
    by_class = np.lexsort((keys_N, labels_N))
    _, starts_K, sizes_K = np.unique(labels_N[by_class], return_index=True, return_counts=True)
    class_u, picture_u = (
        random_uniform(places_N, draw, seed=seed, epoch=epoch) for draw in (Draw.CLASS, Draw.PICTURE_OF_CLASS)
    )
    class_N = (class_u * len(sizes_K)).astype(np.int64)
    positions: Array = by_class[starts_K[class_N] + (picture_u * sizes_K[class_N]).astype(np.int64)]
    return positions


def repetitions(positions_N: Array) -> Array:
    """How often each position came before in the epoch: 0 at the first time."""
    return pd.Series(positions_N).groupby(positions_N).cumcount().to_numpy(np.int64)
