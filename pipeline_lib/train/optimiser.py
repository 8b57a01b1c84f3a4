"""The optimiser a recipe names."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from pipeline_lib.networks.build import head_name
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


MUON_MOMENTUM = 0.95
FACTORS = (3.4445, -4.7750, 2.0315)  # of the Newton-Schulz step: Jordan et al. 2024
NEWTON_SCHULZ_STEPS = 5


class Muon:
    """Matrices and filters by Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers"), the rest by AdamW.

    Groups with `matrix` True move along the orthogonalised momentum; filters count as matrices with a row for each
    output. Steps are scaled by 0.2 * sqrt(longer side), so that one learning rate and decay serve both parts (Liu et
    al. 2025, arXiv 2502.16982, equation 4); torch.optim.Muon with adjust_lr_fn="match_rms_adamw" does the same.
    """

    def __init__(self, groups: list[dict[str, Any]], *, fused: bool) -> None:
        self._matrices = [{**group, "lr": 0.0} for group in groups if group["matrix"]]
        self._momenta = [[torch.zeros_like(weight) for weight in group["params"]] for group in self._matrices]
        rest = [group for group in groups if not group["matrix"]]
        self._others = torch.optim.AdamW(rest, lr=0.0, fused=fused) if rest else None

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [*self._matrices, *(self._others.param_groups if self._others else [])]

    def zero_grad(self) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        for group, momenta in zip(self._matrices, self._momenta, strict=True):
            for weight, momentum in zip(group["params"], momenta, strict=True):
                if weight.grad is None:
                    continue
                momentum.lerp_(weight.grad, 1 - MUON_MOMENTUM)
                along = orthogonalised(weight.grad.lerp(momentum, MUON_MOMENTUM).flatten(1))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                scale = 0.2 * max(along.shape) ** 0.5
                weight.add_(along.view_as(weight).to(weight.dtype), alpha=-group["lr"] * scale)
        if self._others:
            self._others.step()

    def state_dict(self) -> dict[str, Any]:
        return {"momenta": self._momenta, "others": self._others.state_dict() if self._others else {}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for own, saved in zip(self._momenta, state_dict["momenta"], strict=True):
            for momentum, value in zip(own, saved, strict=True):
                momentum.copy_(value)
        if self._others:
            self._others.load_state_dict(state_dict["others"])


def orthogonalised(matrix: Tensor) -> Tensor:
    """Nearly U V^T of the matrix U S V^T: five Newton-Schulz steps, on a GPU in bfloat16, in which a CPU is slow."""
    a, b, c = FACTORS
    x = matrix.bfloat16() if matrix.is_cuda else matrix.float()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


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
