"""Blurring before striding: convolutions that skip pixels see a smoothed map, so small shifts change less.

Zhang 2019, "Making convolutional networks shift-invariant again", arXiv 1904.11486; which convolutions: as in
ffcv-imagenet's recipes, those of stride 2 and more with at least 16 channels in.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

LEAST_CHANNELS = 16


def add_blur_pool(network: nn.Module) -> nn.Module:
    """Blur in front of the striding convolutions, in place. No weights are added, so weight files still fit."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and max(module.stride) > 1 and module.in_channels >= LEAST_CHANNELS:
            module.register_forward_pre_hook(_blur)
    return network


def _blur(_: nn.Module, inputs: tuple[torch.Tensor]) -> torch.Tensor:
    """x_BCHW under the 3x3 binomial filter, zeros around."""
    (x_BCHW,) = inputs
    ones = torch.ones(3, dtype=x_BCHW.dtype, device=x_BCHW.device)  # made there: a GPU would wait for a copy
    line = F.pad(ones[:1], (1, 1), value=0.0).add(ones).mul(0.25)
    channels = x_BCHW.shape[1]
    return F.conv2d(x_BCHW, torch.outer(line, line).expand(channels, 1, 3, 3), padding=1, groups=channels)
