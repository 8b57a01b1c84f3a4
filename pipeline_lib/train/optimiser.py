"""The optimiser a recipe names."""

from __future__ import annotations

import torch
from torch import nn

from pipeline_lib.train.recipes import Recipe


def build_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Make the optimiser of the weights that train. Biases and normalisation layers (one dimension) do not decay.

    The learning rate is set at each step by the schedule.
    """
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in trained if weight.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [weight for weight in trained if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=True)
    return torch.optim.Adam(groups, lr=0.0) if recipe.optimiser == "adam" else torch.optim.AdamW(groups, lr=0.0)
