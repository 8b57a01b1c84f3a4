"""A moving average of a model's weights, which never waits for a GPU."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class Average(AveragedModel):
    """torch's AveragedModel of parameters and buffers, with its arithmetic: each keeps `kept` of itself per step.

    AveragedModel brings its count of steps, which lies on the host, to the model's device at each step; a GPU would be
    waited for. The exponential average does not ask for it.
    """

    def __init__(self, model: nn.Module, *, kept: float) -> None:
        share = get_ema_multi_avg_fn(kept)  # type: ignore[no-untyped-call]
        super().__init__(model, multi_avg_fn=share, use_buffers=True)
        self.share = share

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take the weights of one more step in."""
        groups: dict[torch.dtype, tuple[list[torch.Tensor], list[torch.Tensor]]] = defaultdict(lambda: ([], []))
        for own, now in zip(_tensors(self.module), _tensors(model), strict=True):
            groups[own.dtype][0].append(own.detach())
            groups[own.dtype][1].append(now.detach())
        for owns, nows in groups.values():
            if self.n_averaged == 0:
                torch._foreach_copy_(owns, nows)
            else:
                self.share(owns, nows, 0)
        self.n_averaged += 1


def _tensors(model: nn.Module) -> chain[torch.Tensor]:
    return chain(model.parameters(), model.buffers())
