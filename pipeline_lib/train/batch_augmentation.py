"""Augmentation of a whole batch on the device: a random policy, then mixup or CutMix. B images, K classes.

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

CHUNKS = 16  # torchvision's transforms draw once for all images they are given
LEAST_WEIGHT = 1e-12  # so that a pair of images without weight divides by something


@dataclass(frozen=True)
class AugmentedBatch:
    """images_BHWC: uint8, or float32 in units of 0..255. targets: labels (int64, of B), or probabilities_BK."""

    images_BHWC: Tensor
    targets: Tensor
    weights_B: Tensor


Policy = Callable[[Tensor], Tensor]  # uint8 images_BCHW -> the same, changed


class BatchAugmentation:
    """A recipe's augmentation of whole batches; it does nothing where the recipe asks for nothing."""

    def __init__(self, recipe: Recipe, *, n_classes: int) -> None:
        self.mixup_alpha = recipe.mixup_alpha
        self.cutmix_alpha = recipe.cutmix_alpha
        self.policy = load_policy(recipe.policy)
        self.n_classes = n_classes

    def __call__(self, images_BHWC: Tensor, targets: Tensor, weights_B: Tensor) -> AugmentedBatch:
        """Augment a batch. targets: labels_B, or probabilities_BK."""
        if self.policy is not None:
            images_BHWC = apply_in_chunks(self.policy, images_BHWC)
        if not self.mixup_alpha and not self.cutmix_alpha:
            return AugmentedBatch(images_BHWC, targets, weights_B)

        # Mixed images belong to two classes, so their targets are probabilities.
        if targets.ndim == 1:
            targets = F.one_hot(targets, self.n_classes).float()
        batch = AugmentedBatch(images_BHWC, targets, weights_B)

        # Where the recipe has both, each batch gets one of them.
        mixes_up = bool(self.mixup_alpha)
        if self.mixup_alpha and self.cutmix_alpha:
            mixes_up = bool(torch.rand(()) < 0.5)
        if mixes_up:
            return mix_up(batch, share=_draw_beta(self.mixup_alpha))
        share = _draw_beta(self.cutmix_alpha)
        down = float(torch.rand(()))
        right = float(torch.rand(()))
        return cut_mix(batch, share=share, centre=(down, right))


def load_policy(name: Literal["none", "trivial", "rand"]) -> Policy | None:
    """TrivialAugment (Mueller, Hutter 2021, arXiv 2103.10158) or RandAugment (Cubuk et al. 2019, arXiv 1909.13719)."""
    if name == "none":
        return None
    from torchvision.transforms import v2  # takes seconds, so only where it is needed

    policy: Policy = v2.TrivialAugmentWide() if name == "trivial" else v2.RandAugment()
    return policy


def apply_in_chunks(policy: Policy, images_BHWC: Tensor) -> Tensor:
    """Apply a policy to each sixteenth of the batch, so that at most a sixteenth shares its draw."""
    chunks = images_BHWC.permute(0, 3, 1, 2).chunk(CHUNKS)
    changed_BCHW = torch.cat([policy(chunk) for chunk in chunks])
    return changed_BCHW.permute(0, 2, 3, 1)


def mix_up(batch: AugmentedBatch, *, share: float) -> AugmentedBatch:
    """Each image keeps `share` of itself and takes the rest from its neighbour (Zhang et al. 2017, 1710.09412)."""
    images_BHWC = batch.images_BHWC.float()
    neighbours_BHWC = images_BHWC.roll(1, 0)
    mixed_BHWC = share * images_BHWC + (1 - share) * neighbours_BHWC
    return _with_neighbours_targets(batch, mixed_BHWC, share)


def cut_mix(batch: AugmentedBatch, *, share: float, centre: tuple[float, float]) -> AugmentedBatch:
    """A box of 1 - `share` of the area, cut at the border, shows the neighbour (Yun et al. 2019, arXiv 1905.04899).

    centre: (down, right) of the box, shares of the sides. Targets follow the area that the box really has.
    """
    # The box keeps the image's aspect; what lies outside is cut off.
    height, width = batch.images_BHWC.shape[1:3]
    half = math.sqrt(1 - share) / 2
    down, right_of = centre
    top = _at(down - half, height)
    bottom = _at(down + half, height)
    left = _at(right_of - half, width)
    right = _at(right_of + half, width)

    # float32, as mix_up gives it: a compiled step sees one kind of batch.
    cut_BHWC = batch.images_BHWC.to(torch.float32, copy=True)
    neighbours_BHWC = batch.images_BHWC.roll(1, 0)
    cut_BHWC[:, top:bottom, left:right] = neighbours_BHWC[:, top:bottom, left:right]

    share_of_box = (bottom - top) * (right - left) / (height * width)
    return _with_neighbours_targets(batch, cut_BHWC, 1 - share_of_box)


def _at(share: float, side_px: int) -> int:
    """The pixel at a share of a side, kept within the image."""
    return round(min(max(share, 0), 1) * side_px)


def _with_neighbours_targets(
    batch: AugmentedBatch, images_BHWC: Tensor, share: float
) -> AugmentedBatch:
    """Mix weights and targets so that the weighted loss is share * an image's own + (1 - share) * its neighbour's."""
    own_B = share * batch.weights_B
    other_B = (1 - share) * batch.weights_B.roll(1, 0)
    weights_B = own_B + other_B
    targets_BK = own_B[:, None] * batch.targets + other_B[:, None] * batch.targets.roll(1, 0)
    targets_BK = targets_BK / weights_B.clamp(min=LEAST_WEIGHT)[:, None]
    return AugmentedBatch(images_BHWC, targets_BK, weights_B)


def _draw_beta(alpha: float) -> float:
    """A draw from Beta(alpha, alpha)."""
    return float(torch.distributions.Beta(alpha, alpha).sample())
