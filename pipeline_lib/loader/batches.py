"""What a loader gives: batches, B pictures of H x W pixels and C = 3 colours each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Tensors of its own: safe to keep after the next batch has come."""

    images_BHWC: Tensor  # uint8, RGB
    labels_B: Tensor  # int64
    weights_B: Tensor  # float32
    positions_B: Tensor  # int64: row of the selection frame


class BatchLoader(Protocol):
    """Gives the pictures of one selection, epoch by epoch. `len` is the number of batches in a whole epoch."""

    kind: str  # ffcv, stock, torchvision or resident
    image_ids: Sequence[str]  # by position

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, a function of (seed, epoch) alone: any epoch may be asked for, in any order.

        start: leave out so many batches, undecoded: a run that stopped after `start` steps goes on as it would have.

        Raises OutputDamaged when the bytes of a picture are not those that `convert` wrote.
        """
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...
