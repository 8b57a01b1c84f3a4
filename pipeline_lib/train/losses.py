"""The mean loss of an epoch, watched for steps that are not finite."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from pipeline_lib.errors import ConfigError
from pipeline_lib.loader import Batch
from pipeline_lib.train.ranks import sums

LOOK_EVERY = 50  # steps between looks on a GPU: each makes it wait


class Losses:
    """Collects the loss of each step and looks at several at once."""

    def __init__(self, device: torch.device, image_ids: Sequence[str], state: Sequence[float] = ()) -> None:
        """state: of an epoch that was interrupted, from `state`."""
        self.every, self.image_ids = 1 if device.type == "cpu" else LOOK_EVERY, image_ids
        self.total, images, steps = state or (0.0, 0, 0)
        self.images, self.steps = int(images), int(steps)
        self.waiting: list[tuple[torch.Tensor, torch.Tensor]] = []  # loss and positions, not the pictures

    def add(self, loss: torch.Tensor, batch: Batch) -> None:
        """Take the mean loss of one step. Raises ConfigError as `mean` does."""
        self.waiting.append((loss.detach(), batch.positions_B))
        if len(self.waiting) >= self.every:
            self._look()

    def state(self) -> list[float]:
        """What an epoch needs to go on: total loss, images and steps. Raises ConfigError as `mean` does."""
        self._look()
        return [self.total, self.images, self.steps]

    @property
    def so_far(self) -> float:
        """Mean loss per image of the steps that were looked at, nats."""
        return self.total / max(self.images, 1)

    def mean(self) -> float:
        """Mean loss per image of all steps of all processes, nats.

        Raises ConfigError with step and pictures if one is not finite.
        """
        self._look()
        total, images = sums([self.total, self.images])
        return total / max(images, 1)

    def _look(self) -> None:
        values = torch.stack([loss for loss, _ in self.waiting]).tolist() if self.waiting else []
        for value, (_, positions_B) in zip(values, self.waiting, strict=True):
            self.steps += 1
            if not math.isfinite(value):
                images = ", ".join(self.image_ids[position] for position in positions_B[:3].tolist())
                found = f"loss {value} at step {self.steps} of the epoch, pictures {images}, ..."
                remedy = "lower train.peak_learning_rate; a tenth of it is a good first try"
                raise ConfigError("the training diverged", file="params.yaml", value=found, remedy=remedy)
            self.total += value * len(positions_B)
            self.images += len(positions_B)
        self.waiting.clear()
