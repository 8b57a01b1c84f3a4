"""Auxiliary heads: GoogLeNet and Inception v3 also classify from the middle, while they train and not after."""

from __future__ import annotations

import torch
from torch import nn

SHARE = 0.3  # of an auxiliary loss beside the main one: Szegedy et al. 2014, arXiv 1409.4842, section 5
NAMES = ("aux1", "aux2", "AuxLogits")  # of torchvision's GoogLeNet and Inception v3
LEAST_SIDE_PX = {"googlenet": 1, "inception_v3": 299}  # below, the heads' own convolutions do not fit


def auxiliary_heads(network: nn.Module) -> list[str]:
    """The names of the modules that only train."""
    return [name for name in NAMES if getattr(network, name, None) is not None]


def drop_auxiliary_heads(network: nn.Module) -> None:
    """Take them away, in place: what is kept, evaluated and exported has one head."""
    for name in auxiliary_heads(network):
        setattr(network, name, None)


def weighed_logits(output: torch.Tensor | tuple[torch.Tensor | None, ...]) -> list[tuple[float, torch.Tensor]]:
    """What a network returned while training -> (share of the loss, logits_BK), the main head first."""
    if isinstance(output, torch.Tensor):
        return [(1.0, output)]
    main, *others = output
    assert main is not None
    return [(1.0, main), *((SHARE, logits_BK) for logits_BK in others if logits_BK is not None)]
