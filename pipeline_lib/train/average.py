"""A moving average of a model's weights, which never waits for a GPU."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

WARM_UP = 10  # steps: of n steps taken, the average reaches back over about the last tenth at most


class Average(AveragedModel):
    """An exponential moving average of the parameters: each step keeps `kept` of it, and less at the beginning.

    Step n keeps min(kept, n / (n + 10)), so that the untrained weights are forgotten in any training, however short
    (as TensorFlow's ExponentialMovingAverage with `num_updates`). Buffers are not averaged: `Learner.end_epoch` copies
    them, and estimates the statistics of batch normalisation for the averaged weights.

    AveragedModel brings its count of steps, which lies on the host, to the model's device at each step; a GPU would be
    waited for. The exponential average does not ask for it.
    """

    def __init__(self, model: nn.Module, *, kept: float) -> None:
        super().__init__(model)
        self.kept = kept

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take the weights of one more step in."""
        n_before = int(self.n_averaged)  # on the host
        kept = min(self.kept, n_before / (n_before + WARM_UP))
        own = [weight.detach() for weight in self.module.parameters()]
        now = [weight.detach() for weight in model.parameters()]
        torch._foreach_lerp_(own, now, 1 - kept)
        self.n_averaged += 1

    @torch.no_grad()
    def copy_buffers(self, model: nn.Module) -> None:
        """Take over what is no parameter."""
        for own, now in zip(self.module.buffers(), model.buffers(), strict=True):
            own.copy_(now)
