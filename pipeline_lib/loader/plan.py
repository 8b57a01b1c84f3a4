"""What both loaders agree on before they decode anything: the order, the batches, and the view of each picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader.augment import Augmentation, Views, draw_views
from pipeline_lib.loader.batches import Batch
from pipeline_lib.loader.keyed_random import Draw, random_bits
from pipeline_lib.loader.pictures import Pictures


@dataclass(frozen=True)
class Plan:
    """How N pictures are shown, in batches of B. The fields are as in `open_loader`."""

    pictures: Pictures
    batch_size: int
    side_px: int
    augmentation: Augmentation | None
    shuffle: bool
    seed: int
    drop_last: bool

    def __len__(self) -> int:
        """Batches in an epoch."""
        full, rest = divmod(len(self.pictures.image_ids), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def order(self, epoch: int) -> Array:
        """The positions of an epoch: sorted by a random number each, so pictures that come or go reorder no others."""
        count = min(len(self.pictures.image_ids), len(self) * self.batch_size)
        if not self.shuffle:
            return np.arange(count)
        return np.argsort(random_bits(self.pictures.keys_N, Draw.ORDER, seed=self.seed, epoch=epoch))[:count]

    def batches(self, epoch: int) -> Iterator[Array]:
        """The positions of each batch."""
        order = self.order(epoch)
        return (order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size))

    def views(self, positions_B: Array, epoch: int) -> Views:
        """What is shown of the pictures at these positions."""
        images, keys = self.pictures.images_N[positions_B], self.pictures.keys_N[positions_B]
        heights, widths = images["height"].astype(np.int64), images["width"].astype(np.int64)
        return draw_views(self.augmentation, keys, heights, widths, seed=self.seed, epoch=epoch)

    def batch(self, positions_B: Array, images_BHWC: torch.Tensor) -> Batch:
        """Put labels and weights beside the pixels, which the caller has made its own."""
        positions = torch.from_numpy(positions_B.copy())
        return Batch(images_BHWC, self.pictures.labels_N[positions], self.pictures.weights_N[positions], positions)
