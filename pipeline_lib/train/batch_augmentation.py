"""What happens to a whole batch on the device: a random policy, then mixup or cutmix. B pictures, K classes.

All draws come from torch's own generator on the CPU, which a checkpoint keeps: a resumed run draws what it would have
drawn, and a GPU waits for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline_lib.train.recipes import Recipe

CHUNKS = 16  # torchvision's transforms draw once for all pictures they are given


@dataclass(frozen=True)
class Mixed:
    """images_BHWC: uint8, or float32 in units of 0..255. targets: labels (int64, of B), or probabilities_BK."""

    images_BHWC: Tensor
    targets: Tensor
    weights_B: Tensor


Policy = Callable[[Tensor], Tensor]  # uint8 images_BCHW -> the same, changed


class BatchAugmentation:
    """A recipe's augmentation of whole batches; it does nothing where the recipe asks for nothing."""

    def __init__(self, recipe: Recipe, *, n_classes: int) -> None:
        self.alphas = (recipe.mixup_alpha, recipe.cutmix_alpha)
        self.policy, self.n_classes = open_policy(recipe.policy), n_classes

    def __call__(self, images_BHWC: Tensor, targets: Tensor, weights_B: Tensor) -> Mixed:
        """targets: labels_B, or probabilities_BK."""
        if self.policy is not None:
            images_BHWC = in_chunks(self.policy, images_BHWC)
        mixed, (mixup, cutmix) = Mixed(images_BHWC, targets, weights_B), self.alphas
        if not mixup and not cutmix:
            return mixed
        if targets.ndim == 1:
            mixed = Mixed(images_BHWC, F.one_hot(targets, self.n_classes).float(), weights_B)
        if mixup and (not cutmix or torch.rand(()) < 0.5):
            return mix_up(mixed, share=_beta(mixup))
        return cut_mix(mixed, share=_beta(cutmix), centre=(float(torch.rand(())), float(torch.rand(()))))


def open_policy(name: Literal["none", "trivial", "rand"]) -> Policy | None:
    """TrivialAugment (Mueller, Hutter 2021, arXiv 2103.10158) or RandAugment (Cubuk et al. 2019, arXiv 1909.13719)."""
    if name == "none":
        return None
    from torchvision.transforms import v2  # seconds, so only where it is needed

    policy: Policy = v2.TrivialAugmentWide() if name == "trivial" else v2.RandAugment()
    return policy


def in_chunks(policy: Policy, images_BHWC: Tensor) -> Tensor:
    """Apply a policy to each sixteenth of the batch, so that at most a sixteenth shares its draw."""
    chunks = images_BHWC.permute(0, 3, 1, 2).chunk(CHUNKS)
    return torch.cat([policy(chunk) for chunk in chunks]).permute(0, 2, 3, 1)


def mix_up(batch: Mixed, *, share: float) -> Mixed:
    """Each picture keeps `share` of itself and takes the rest from its neighbour (Zhang et al. 2017, 1710.09412)."""
    images_BHWC = batch.images_BHWC.float()
    mixed_BHWC = share * images_BHWC + (1 - share) * images_BHWC.roll(1, 0)
    return _with_neighbours_targets(batch, mixed_BHWC, share)


def cut_mix(batch: Mixed, *, share: float, centre: tuple[float, float]) -> Mixed:
    """A box of 1 - `share` of the area, cut at the border, shows the neighbour (Yun et al. 2019, arXiv 1905.04899).

    centre: (down, right) of the box, shares of the sides. Targets follow the area that the box really has.
    """
    height, width = batch.images_BHWC.shape[1:3]
    half = math.sqrt(1 - share) / 2
    top, bottom = (round(min(max(centre[0] + sign * half, 0), 1) * height) for sign in (-1, 1))
    left, right = (round(min(max(centre[1] + sign * half, 0), 1) * width) for sign in (-1, 1))
    cut_BHWC = batch.images_BHWC.to(torch.float32, copy=True)  # as mix_up's: one kind to a compiler
    cut_BHWC[:, top:bottom, left:right] = batch.images_BHWC.roll(1, 0)[:, top:bottom, left:right]
    return _with_neighbours_targets(batch, cut_BHWC, 1 - (bottom - top) * (right - left) / (height * width))


def _with_neighbours_targets(batch: Mixed, images_BHWC: Tensor, share: float) -> Mixed:
    """Mix weights and targets so that the weighted loss is share * a picture's own + (1 - share) * its neighbour's."""
    own_B, other_B = share * batch.weights_B, (1 - share) * batch.weights_B.roll(1, 0)
    weights_B = own_B + other_B
    targets_BK = own_B[:, None] * batch.targets + other_B[:, None] * batch.targets.roll(1, 0)
    return Mixed(images_BHWC, targets_BK / weights_B.clamp(min=1e-12)[:, None], weights_B)


def _beta(alpha: float) -> float:
    """A draw from Beta(alpha, alpha)."""
    return float(torch.distributions.Beta(alpha, alpha).sample())
