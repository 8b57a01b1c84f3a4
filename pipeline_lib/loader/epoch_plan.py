"""What the loaders agree on before they decode anything: the order, the batches, and the view of each image.

An epoch is a list of visits. A visit is one integer: the image's position, plus N for each time it was there before in
this epoch. So without repetition visits are positions, and with it every visit has a view of its own.

The order is a pure function of the images' keys, the seed and the epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader.augmentation import (
    U64,
    Augmentation,
    Draw,
    Views,
    draw_views,
    random_bits,
    random_uniform,
    repeated_keys,
)
from pipeline_lib.loader.batches import Batch
from pipeline_lib.loader.find_images import Images

Sampling = Literal["as_is", "balanced"]


@dataclass(frozen=True)
class Plan:
    """How N images are shown, in batches of B, to one of `world` processes. The fields are as in `open_loader`."""

    images: Images
    batch_size: int
    side_px: int
    augmentation: Augmentation | None
    shuffle: bool
    seed: int
    drop_last: bool
    sampling: Sampling = "as_is"
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        assert 0 <= self.rank < self.world, (self.rank, self.world)
        assert self.shuffle or self.sampling == "as_is", (
            "what is drawn with replacement has no order of its own"
        )

    def __len__(self) -> int:
        """Batches in an epoch of this process."""
        n_visits = len(range(self.rank, self._visits_of_all, self.world))
        return -(-n_visits // self.batch_size)

    @property
    def _visits_of_all(self) -> int:
        """Visits in an epoch of all processes: in full batches only, or all there are."""
        count = len(self.images)
        return count - (count % (self.batch_size * self.world) if self.drop_last else 0)

    def order(self, epoch: int, start: int = 0) -> Array:
        """The visits of an epoch of this process from batch `start` on: every world-th one of the common order."""
        assert start >= 0, start
        # All processes draw the same order and each takes its own visits: nothing has to be sent between them.
        common = self._common_order(epoch)[: self._visits_of_all]
        return common[self.rank :: self.world][start * self.batch_size :]

    def _common_order(self, epoch: int) -> Array:
        keys_N = self.images.keys_N
        if not self.shuffle:
            return np.arange(len(self.images))
        if self.sampling == "as_is":
            return shuffled(keys_N, seed=self.seed, epoch=epoch)
        # An image that comes again gets another number, and so another view.
        positions_N = balanced(keys_N, self.images.labels_N.numpy(), seed=self.seed, epoch=epoch)
        visits_N: Array = positions_N + len(self.images) * repetitions(positions_N)
        return visits_N

    def batches(self, epoch: int, start: int = 0) -> Iterator[Array]:
        """The visits of each batch, from batch `start` on."""
        order = self.order(epoch, start)
        return (
            order[first : first + self.batch_size]
            for first in range(0, len(order), self.batch_size)
        )

    def positions(self, visits_B: Array) -> Array:
        """Which image each visit shows."""
        positions_B: Array = visits_B % len(self.images)
        return positions_B

    def views(self, visits_B: Array, epoch: int) -> Views:
        """What these visits show of their images."""
        repetitions_B, positions_B = np.divmod(visits_B, len(self.images))
        keys_B = repeated_keys(self.images.keys_N[positions_B], repetitions_B)
        stored_B = self.images.stored_N[positions_B]
        heights_B = stored_B["height"].astype(np.int64)
        widths_B = stored_B["width"].astype(np.int64)
        return draw_views(
            self.augmentation, keys_B, heights_B, widths_B, seed=self.seed, epoch=epoch
        )

    def batch(self, visits_B: Array, images_BHWC: torch.Tensor) -> Batch:
        """Put labels and weights beside the pixels, which no one else may hold."""
        positions_B = torch.from_numpy(self.positions(visits_B))
        return Batch(
            images_BHWC,
            self.images.labels_N[positions_B],
            self.images.weights_N[positions_B],
            positions_B,
        )


def shuffled(keys_N: U64, *, seed: int, epoch: int) -> Array:
    """Every position once, sorted by a random number per image, so images that come or go reorder no others."""
    return np.argsort(random_bits(keys_N, Draw.ORDER, seed=seed, epoch=epoch))


def balanced(keys_N: U64, labels_N: Array, *, seed: int, epoch: int) -> Array:
    """N positions drawn with replacement: for each place of the epoch a class, then an image of it, both uniform.

    So a class is expected N / K times whatever its size, as with torch's WeightedRandomSampler and weights of one over
    the size of the class. Images of a class stand in the order of their keys, not of the selection.
    """
    # Positions, class by class; where each of the K classes begins among them, and how many images it has.
    by_class_N = np.lexsort((keys_N, labels_N))
    _, starts_K, sizes_K = np.unique(labels_N[by_class_N], return_index=True, return_counts=True)

    # Draws are keyed by the place in the epoch, not by an image: which image comes there is what is drawn.
    places_N = np.arange(len(keys_N), dtype=np.uint64)
    class_u = random_uniform(places_N, Draw.CLASS, seed=seed, epoch=epoch)
    image_u = random_uniform(places_N, Draw.IMAGE_OF_CLASS, seed=seed, epoch=epoch)
    class_N = (class_u * len(sizes_K)).astype(np.int64)
    within_class_N = (image_u * sizes_K[class_N]).astype(np.int64)
    positions_N: Array = by_class_N[starts_K[class_N] + within_class_N]
    return positions_N


def repetitions(positions_N: Array) -> Array:
    """How often each position came before in the epoch: 0 at the first time."""
    return pd.Series(positions_N).groupby(positions_N).cumcount().to_numpy(np.int64)
