"""The optimiser a recipe names."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pipeline_lib.networks.build import head_name
from pipeline_lib.train.muon import Muon
from pipeline_lib.train.recipes import Recipe

MOMENTUM = 0.9
BANDS = 8


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

    Ours because torch's loads its compiler at the first step, as long a wait as half the quick recipe's training. On a
    GPU torch's is taken, which changes all weights in one kernel.
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

    The learning rate is set at each step by the schedule, times a group's `share` of it.
    """
    groups = _groups(network, recipe)
    fused = groups[0]["params"][0].is_cuda
    if recipe.optimiser == "muon":
        return Muon(groups, fused=fused)
    if recipe.optimiser == "sgd" and fused:
        return torch.optim.SGD(groups, lr=0.0, momentum=MOMENTUM, nesterov=True, fused=True)
    if recipe.optimiser == "sgd":
        return NesterovSGD(groups)
    kind = torch.optim.Adam if recipe.optimiser == "adam" else torch.optim.AdamW
    return kind(groups, lr=0.0, fused=fused)


def _groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Weights by share of the rate, and by whether they decay and are matrices that Muon may turn."""
    found: dict[tuple[float, bool, bool], list[Tensor]] = {}
    shares, head = rate_shares(network, first=recipe.first_layer_rate), head_name(network)
    for name, weight in network.named_parameters():
        if weight.requires_grad:
            layer, decays = name.rpartition(".")[0], weight.ndim > 1
            is_matrix = recipe.optimiser == "muon" and decays and name.endswith("weight") and layer != head
            found.setdefault((shares[layer], not decays, not is_matrix), []).append(weight)
    return [
        {
            "params": weights,
            "share": share,
            "matrix": not plain,
            "weight_decay": 0.0 if still else recipe.weight_decay,
        }
        for (share, still, plain), weights in sorted(found.items(), key=lambda item: item[0])
    ]


def rate_shares(network: nn.Module, *, first: float) -> dict[str, float]:
    """Layer -> share of the learning rate: `first` for the first, 1 for the head, geometric between, in eight bands.

    As the discriminative rates of Howard and Ruder (2018, arXiv 1801.06146, section 3.2), by the order of the layers
    in the network, so that it serves every network. Bands, because each share is a group of its own to the optimiser.
    """
    trained = [name.rpartition(".")[0] for name, weight in network.named_parameters() if weight.requires_grad]
    layers = list(dict.fromkeys(trained))
    last = max(len(layers) - 1, 1)
    bands = [BANDS - 1 if n == len(layers) - 1 else n * (BANDS - 1) // last for n in range(len(layers))]
    return {layer: first ** (1 - band / (BANDS - 1)) for layer, band in zip(layers, bands, strict=True)}
