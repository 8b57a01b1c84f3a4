"""How a step changes the weights: the optimiser of a recipe, its learning rates by layer, and the layers that stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pipeline_lib.networks.build import head_name
from pipeline_lib.train.recipes import Recipe

MOMENTUM = 0.9
BANDS = 8  # of layers with one learning rate each
MUON_MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # factors of a step of the iteration: Jordan et al. 2024
NEWTON_SCHULZ_STEPS = 5


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
        """Continue from a `state_dict`."""
        ...


class NesterovSGD:
    """torch.optim.SGD with Nesterov momentum 0.9, which it equals bit for bit.

    Ours because torch's loads its compiler at the first step, as long a wait as half the quick recipe's training. On a
    GPU torch's is taken, which changes all weights in one kernel.
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        self.param_groups = [{**group, "lr": 0.0} for group in groups]
        self._velocities = [_zeros_like(group["params"]) for group in groups]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        _forget_gradients(self.param_groups)

    @torch.no_grad()
    def step(self) -> None:
        """Change the weights along their gradients."""
        for group, velocities in zip(self.param_groups, self._velocities, strict=True):
            weights: list[Tensor] = group["params"]
            gradients = [
                torch.zeros_like(weight) if weight.grad is None else weight.grad
                for weight in weights
            ]
            # Weight decay as part of the gradient, as torch's SGD has it.
            gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
            torch._foreach_mul_(velocities, MOMENTUM)
            torch._foreach_add_(velocities, gradients)
            # Nesterov: the gradient plus the velocity after this step.
            torch._foreach_add_(gradients, velocities, alpha=MOMENTUM)
            torch._foreach_add_(weights, gradients, alpha=-group["lr"])

    def state_dict(self) -> dict[str, Any]:
        """The velocities."""
        return {"velocities": self._velocities}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        _copy_groups(state_dict["velocities"], self._velocities)


class Muon:
    """Matrices and filters by Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers"), the rest by AdamW.

    Groups with `matrix` True move along the orthogonalised momentum; filters count as matrices with a row for each
    output, which torch.optim.Muon does not take. Steps are scaled by 0.2 * sqrt(longer side), so that one learning rate
    and decay serve both parts (Liu et al. 2025, arXiv 2502.16982, equation 4); torch.optim.Muon with
    adjust_lr_fn="match_rms_adamw" does the same.
    """

    def __init__(self, groups: list[dict[str, Any]], *, fused: bool) -> None:
        self._matrices = [{**group, "lr": 0.0} for group in groups if group["matrix"]]
        self._momenta = [_zeros_like(group["params"]) for group in self._matrices]
        # A network without biases and head in training leaves nothing to AdamW.
        rest = [group for group in groups if not group["matrix"]]
        self._others = torch.optim.AdamW(rest, lr=0.0, fused=fused) if rest else None

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both parts."""
        others = self._others.param_groups if self._others else []
        return [*self._matrices, *others]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        _forget_gradients(self.param_groups)

    @torch.no_grad()
    def step(self) -> None:
        """Change the weights of both parts."""
        for group, momenta in zip(self._matrices, self._momenta, strict=True):
            for weight, momentum in zip(group["params"], momenta, strict=True):
                if weight.grad is not None:
                    _muon_step(weight, momentum, rate=group["lr"], decay=group["weight_decay"])
        if self._others:
            self._others.step()

    def state_dict(self) -> dict[str, Any]:
        """The momenta, and AdamW's own."""
        others = self._others.state_dict() if self._others else {}
        return {"momenta": self._momenta, "others": others}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        _copy_groups(state_dict["momenta"], self._momenta)
        if self._others:
            self._others.load_state_dict(state_dict["others"])


def _muon_step(weight: Tensor, momentum: Tensor, *, rate: float, decay: float) -> None:
    """Change a weight and its momentum in place."""
    assert weight.grad is not None
    momentum.lerp_(weight.grad, 1 - MUON_MOMENTUM)
    # The gradient and the momentum after this step, as Nesterov has it.
    nesterov = weight.grad.lerp(momentum, MUON_MOMENTUM)
    direction = orthogonalised(nesterov.flatten(1))
    # Decay before the step, as in AdamW.
    weight.mul_(1 - rate * decay)
    scale = 0.2 * max(direction.shape) ** 0.5
    weight.add_(direction.view_as(weight).to(weight.dtype), alpha=-rate * scale)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Nearly U V^T of the matrix U S V^T: five Newton-Schulz steps, on a GPU in bfloat16, in which a CPU is slow."""
    # The iteration converges for singular values up to 1, which the division by the norm ensures.
    a, b, c = NEWTON_SCHULZ
    x = matrix.bfloat16() if matrix.is_cuda else matrix.float()
    # The smaller Gram matrix is the cheaper one.
    is_tall = x.shape[0] > x.shape[1]
    x = x.T if is_tall else x
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.addmm(x, polynomial, x, beta=a)
    return x.T if is_tall else x


def _zeros_like(weights: list[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(weight) for weight in weights]


def _forget_gradients(groups: list[dict[str, Any]]) -> None:
    for group in groups:
        for weight in group["params"]:
            weight.grad = None


def _copy_groups(saved: list[list[Tensor]], own: list[list[Tensor]]) -> None:
    for saved_group, own_group in zip(saved, own, strict=True):
        for saved_tensor, own_tensor in zip(saved_group, own_group, strict=True):
            own_tensor.copy_(saved_tensor)


def build_optimiser(network: nn.Module, recipe: Recipe) -> Optimiser:
    """Make the optimiser of the weights that train. Biases and normalisation layers (one dimension) do not decay.

    The learning rate is set at each step by the schedule, times a group's `share` of it.
    """
    groups = _groups(network, recipe)
    is_on_gpu = groups[0]["params"][0].is_cuda
    if recipe.optimiser == "muon":
        return Muon(groups, fused=is_on_gpu)
    if recipe.optimiser == "sgd" and is_on_gpu:
        return torch.optim.SGD(
            groups,
            lr=0.0,
            momentum=MOMENTUM,
            nesterov=True,
            fused=True,
        )
    if recipe.optimiser == "sgd":
        return NesterovSGD(groups)
    kind = torch.optim.Adam if recipe.optimiser == "adam" else torch.optim.AdamW
    return kind(groups, lr=0.0, fused=is_on_gpu)


@dataclass(frozen=True, order=True)
class _Kind:
    """What the weights of a group have in common; the order of the groups."""

    share: float  # of the learning rate
    is_exempt_from_decay: bool
    is_no_matrix: bool  # to Muon


def _groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """The weights that train, by share of the rate, and by whether they decay and are matrices that Muon may turn."""
    groups: dict[_Kind, list[Tensor]] = {}
    shares = rate_shares(network, first=recipe.first_layer_rate)
    head = head_name(network)
    for name, weight in network.named_parameters():
        if not weight.requires_grad:
            continue
        layer = name.rpartition(".")[0]
        # Biases and normalisation layers have one dimension.
        decays = weight.ndim > 1
        is_matrix = (
            recipe.optimiser == "muon" and decays and name.endswith("weight") and layer != head
        )
        kind = _Kind(
            share=shares[layer],
            is_exempt_from_decay=not decays,
            is_no_matrix=not is_matrix,
        )
        groups.setdefault(kind, []).append(weight)
    return [
        {
            "params": groups[kind],
            "share": kind.share,
            "matrix": not kind.is_no_matrix,
            "weight_decay": 0.0 if kind.is_exempt_from_decay else recipe.weight_decay,
        }
        for kind in sorted(groups)
    ]


def rate_shares(network: nn.Module, *, first: float) -> dict[str, float]:
    """Layer -> share of the learning rate: `first` for the first, 1 for the head, geometric between, in eight bands.

    As the discriminative rates of Howard and Ruder (2018, arXiv 1801.06146, section 3.2), by the order of the layers
    in the network, so that it serves every network. Bands, because each share is a group of its own to the optimiser.
    """
    # A layer's weight and bias share its rate.
    trained = [
        name.rpartition(".")[0]
        for name, weight in network.named_parameters()
        if weight.requires_grad
    ]
    layers = list(dict.fromkeys(trained))
    last = len(layers) - 1
    shares: dict[str, float] = {}
    for n, layer in enumerate(layers):
        # The head has the last band for itself where there are enough layers.
        band = BANDS - 1 if n == last else n * (BANDS - 1) // max(last, 1)
        shares[layer] = first ** (1 - band / (BANDS - 1))
    return shares


def freeze_first_layers(network: nn.Module, share: float) -> None:
    """Take the first layers out of training, in place: `share` (0..1) of those with weights, rounded down, never the head.

    As the layers come in the network, as in `rate_shares`.
    """
    layers = [
        module
        for module in network.modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    for layer in layers[: int(share * len(layers))]:
        layer.requires_grad_(False)
