"""The optimiser a recipe names."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pipeline_lib.train.recipes import Recipe

MOMENTUM = 0.9


class Optimiser(Protocol):
    """What the loop needs of torch's optimisers, and of ours."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups of weights, each with its `lr` and `weight_decay`."""
        ...

    def zero_grad(self) -> None:
        """Forget the gradients."""
        ...

    def step(self) -> Any:
        """Change the weights along their gradients."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What steps change beside the weights."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        ...


class NesterovSGD:
    """torch.optim.SGD with Nesterov momentum 0.9, which it equals bit for bit.

    Ours because torch's loads its compiler at the first step, as long a wait as half the quick recipe's training.
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        self.param_groups = [{**group, "lr": 0.0} for group in groups]
        self._velocities = [[torch.zeros_like(weight) for weight in group["params"]] for group in groups]

    def zero_grad(self) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        for group, velocities in zip(self.param_groups, self._velocities, strict=True):
            weights: list[Tensor] = group["params"]
            gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
            gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
            torch._foreach_mul_(velocities, MOMENTUM)
            torch._foreach_add_(velocities, gradients)
            torch._foreach_add_(gradients, velocities, alpha=MOMENTUM)
            torch._foreach_add_(weights, gradients, alpha=-group["lr"])

    def state_dict(self) -> dict[str, Any]:
        return {"velocities": self._velocities}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for own, saved in zip(self._velocities, state_dict["velocities"], strict=True):
            for velocity, value in zip(own, saved, strict=True):
                velocity.copy_(value)


def build_optimiser(network: nn.Module, recipe: Recipe) -> Optimiser:
    """Make the optimiser of the weights that train. Biases and normalisation layers (one dimension) do not decay.

    The learning rate is set at each step by the schedule.
    """
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in trained if weight.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [weight for weight in trained if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimiser == "sgd":
        return NesterovSGD(groups)
    return torch.optim.Adam(groups, lr=0.0) if recipe.optimiser == "adam" else torch.optim.AdamW(groups, lr=0.0)
