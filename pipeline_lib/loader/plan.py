"""What the loaders agree on before they decode anything: the order, the batches, and the view of each picture.

An epoch is a list of visits. A visit is one integer: the picture's position, plus N for each time it was there before
in this epoch. So without repetition visits are positions, and with it every one has a view of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader.augment import Augmentation, Views, draw_views
from pipeline_lib.loader.batches import Batch
from pipeline_lib.loader.keyed_random import repeated_keys
from pipeline_lib.loader.pictures import Pictures
from pipeline_lib.loader.sampling import Sampling, balanced, repetitions, shuffled


@dataclass(frozen=True)
class Plan:
    """How N pictures are shown, in batches of B, to one of `world` processes. The fields are as in `open_loader`."""

    pictures: Pictures
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
        assert self.shuffle or self.sampling == "as_is", "what is drawn with replacement has no order of its own"

    def __len__(self) -> int:
        """Batches in an epoch of this process."""
        return -(-len(range(self.rank, self._visits_of_all, self.world)) // self.batch_size)

    @property
    def _visits_of_all(self) -> int:
        """Visits in an epoch of all processes: in full batches only, or all there are."""
        count = len(self.pictures.image_ids)
        return count - (count % (self.batch_size * self.world) if self.drop_last else 0)

    def order(self, epoch: int, start: int = 0) -> Array:
        """The visits of an epoch of this process from batch `start` on: every world-th one of the common order."""
        assert start >= 0, start
        mine = self._common_order(epoch)[: self._visits_of_all][self.rank :: self.world]
        return mine[start * self.batch_size :]

    def _common_order(self, epoch: int) -> Array:
        keys, count = self.pictures.keys_N, len(self.pictures.image_ids)
        if not self.shuffle:
            return np.arange(count)
        if self.sampling == "as_is":
            return shuffled(keys, seed=self.seed, epoch=epoch)
        positions = balanced(keys, self.pictures.labels_N.numpy(), seed=self.seed, epoch=epoch)
        visits: Array = positions + count * repetitions(positions)
        return visits

    def batches(self, epoch: int, start: int = 0) -> Iterator[Array]:
        """The visits of each batch, from batch `start` on."""
        order = self.order(epoch, start)
        return (order[first : first + self.batch_size] for first in range(0, len(order), self.batch_size))

    def positions(self, visits_B: Array) -> Array:
        """Which picture each visit shows."""
        positions_B: Array = visits_B % len(self.pictures.image_ids)
        return positions_B

    def views(self, visits_B: Array, epoch: int) -> Views:
        """What these visits show of their pictures."""
        repetitions_B, positions_B = np.divmod(visits_B, len(self.pictures.image_ids))
        keys, images = (
            repeated_keys(self.pictures.keys_N[positions_B], repetitions_B),
            self.pictures.images_N[positions_B],
        )
        heights, widths = images["height"].astype(np.int64), images["width"].astype(np.int64)
        return draw_views(self.augmentation, keys, heights, widths, seed=self.seed, epoch=epoch)

    def batch(self, visits_B: Array, images_BHWC: torch.Tensor) -> Batch:
        """Put labels and weights beside the pixels, which the caller has made its own."""
        positions = torch.from_numpy(self.positions(visits_B))
        return Batch(images_BHWC, self.pictures.labels_N[positions], self.pictures.weights_N[positions], positions)
