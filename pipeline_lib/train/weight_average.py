"""The weights that are evaluated in place of those of the last step: their moving average, or half way to the start."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

AVERAGE_WARM_UP = (
    10  # steps: after n steps the average reaches back over about the last tenth of them at most
)


class Average(AveragedModel):
    """An exponential moving average of the parameters, with a decay per step that is smaller at the beginning.

    Step n decays by min(decay, n / (n + 10)), so that the untrained weights are forgotten in any training, however
    short (as TensorFlow's ExponentialMovingAverage with `num_updates`). Buffers are not averaged: `Learner.end_epoch`
    copies them, and estimates the statistics of batch normalisation for the averaged weights.

    AveragedModel moves its count of steps, which lies on the host, to the model's device at each step, and a GPU would
    have to be waited for. The exponential average does not need it there.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        super().__init__(model)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Add the weights after one more step."""
        n_before = int(self.n_averaged)  # on the host
        # Smaller at the beginning, so that the first weights are soon forgotten.
        decay = min(self.decay, n_before / (n_before + AVERAGE_WARM_UP))
        own = [weight.detach() for weight in self.module.parameters()]
        new = [weight.detach() for weight in model.parameters()]
        torch._foreach_lerp_(own, new, 1 - decay)
        self.n_averaged += 1

    @torch.no_grad()
    def copy_buffers(self, model: nn.Module) -> None:
        """Copy what is no parameter."""
        for own, new in zip(self.module.buffers(), model.buffers(), strict=True):
            own.copy_(new)


class Blend:
    """Weights between those at the start and the present ones: `share` (0..1) of the start, in `module`.

    Fine-tuned weights and those that they began with lie in one basin, and between them a network keeps what it knew:
    Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", arXiv 2109.01903. Buffers are the present ones.
    """

    def __init__(self, model: nn.Module, *, share: float) -> None:
        self.share = share
        self.module = copy.deepcopy(model)
        self._start = [weight.detach().clone() for weight in model.parameters()]

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Blend with the weights of `model`."""
        weights = zip(self.module.parameters(), model.parameters(), self._start, strict=True)
        for own, present, start in weights:
            own.copy_(torch.lerp(present, start, self.share))
        for buffer, new in zip(self.module.buffers(), model.buffers(), strict=True):
            buffer.copy_(new)

    def state_dict(self) -> dict[str, Any]:
        """The weights at the start."""
        return {"start": self._start}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        saved: list[Tensor] = state_dict["start"]
        for own, start in zip(self._start, saved, strict=True):
            own.copy_(start)
