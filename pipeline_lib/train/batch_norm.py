"""Whether the kept network recognises its own training images as it did while it trained.

N images. As a network evaluates, batch normalisation takes the statistics it has kept; as it trains, each batch's own.
Where the two answer differently, the statistics do not fit the weights, and every evaluation is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pipeline_lib.loader import Batch, BatchLoader
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.infer import score
from pipeline_lib.train.recipes import STATISTICS_VIEWS

MOST_IMAGES = 1024
LEAST_GAP = 0.05  # of the images; less is no reason to worry anybody
STANDARD_ERRORS = 3.0


@dataclass(frozen=True)
class OwnImages:
    """Images that are right in both modes, in one alone, and in all: counts."""

    n: int
    right: int  # as it evaluates
    right_by_batch: int  # with each batch's own statistics
    differ: int  # right in one of the two alone

    @property
    def top1(self) -> float:
        """Share that is right as the network evaluates, 0..1."""
        return self.right / self.n

    def as_record(self) -> dict[str, float]:
        """Both shares, 0..1, for validation.json."""
        return {"train_top1": self.top1, "train_top1_batch_statistics": self.right_by_batch / self.n}

    @property
    def doubt(self) -> str:
        """What speaks against the network as it evaluates; "" for nothing.

        It is worse than with each batch's own statistics by more than 5 points and by three standard errors of the
        paired difference.
        """
        lost = self.right_by_batch - self.right
        if lost <= max(LEAST_GAP * self.n, STANDARD_ERRORS * math.sqrt(self.differ)):
            return ""
        return (
            f"the kept network is right on {self.top1:.1%} of its own training images, and on "
            f"{self.right_by_batch / self.n:.1%} with the statistics of each batch: what batch normalisation has kept "
            "does not fit its weights. Raise train.batch_size or train.side_px, or train for more epochs"
        )


def ask_about_own_images(
    model: Classifier, loader: BatchLoader, device: torch.device, *, is_frozen: bool = False
) -> OwnImages:
    """Compare the two modes. loader: training images in mixed order, in batches as training takes them.

    is_frozen: it trained with the statistics it evaluates with, so both modes are the same, as without batch
    normalisation. The model is as it was, but for batch normalisation's counts of batches. Raises NotFinite as `score`
    does.
    """
    right_N = torch.cat([_right(one.logits_BK, one.batch.labels_B) for one in score(model, loader, device)])
    by_batch_N = right_N
    if batch_norms(model) and not is_frozen:
        by_batch_N = torch.cat(list(_right_by_batch(model, loader, device)))
    differ = int((right_N != by_batch_N).sum())
    return OwnImages(len(right_N), int(right_N.sum()), int(by_batch_N.sum()), differ)


@torch.no_grad()
def _right_by_batch(model: Classifier, loader: BatchLoader, device: torch.device) -> Iterator[torch.Tensor]:
    with own_statistics(model) as layers:
        for layer in layers:
            layer.momentum = 0.0  # what is kept stays
        for batch in loader.epoch(0):
            yield _right(model(batch.images_BHWC.to(device)).cpu(), batch.labels_B)


def _right(logits_BK: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
    return logits_BK.argmax(1) == labels_B.cpu()


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """The layers whose evaluation depends on statistics they have kept."""
    return [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]


@contextmanager
def own_statistics(model: nn.Module) -> Iterator[list[_BatchNorm]]:
    """Within it, batch normalisation takes each batch's own statistics; all other layers are as they evaluate."""
    model.eval()
    layers = batch_norms(model)
    momenta = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.train()
        yield layers
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        model.eval()


@torch.no_grad()
def estimate_statistics(model: Classifier, batches: Iterable[Batch], device: torch.device) -> int:
    """Set the statistics to the mean over the batches of each batch's mean and unbiased variance, in place.

    batches: of one size, training views. Looks at the first 2,048 views, or at all; returns how many it saw. A model
    without batch normalisation sees none.
    """
    n_seen = 0
    with own_statistics(model) as layers:
        for number, batch in enumerate(batches if layers else (), 1):
            for layer in layers:
                layer.momentum = 1 / number  # a cumulative mean
            model(batch.images_BHWC.to(device))
            n_seen += len(batch.images_BHWC)
            if n_seen >= STATISTICS_VIEWS:
                break
    return n_seen
