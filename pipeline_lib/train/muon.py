"""Muon for networks with convolutions: torch.optim.Muon takes matrices only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
FACTORS = (3.4445, -4.7750, 2.0315)  # of the Newton-Schulz step: Jordan et al. 2024
STEPS = 5


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
                momentum.lerp_(weight.grad, 1 - MOMENTUM)
                along = orthogonalised(weight.grad.lerp(momentum, MOMENTUM).flatten(1))
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
    for _ in range(STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
