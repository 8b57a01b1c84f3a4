"""Batch normalisation that evaluates as it trained: its statistics, and a look back whether they fit the weights.

While it trains, a network normalises by each batch's own mean and variance, and keeps a moving average of them for
evaluation. That average lags behind the weights by some ten steps, and behind averaged weights by far more: after a
short training it still holds the beginning. So before each validation the statistics are estimated anew. N images.
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

MOST_IMAGES = 1024  # of its own training images that the kept network is asked about
LEAST_GAP = 0.05  # share of these images; a smaller gap is no reason to worry anybody
STANDARD_ERRORS = 3.0


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """The layers whose evaluation depends on statistics they have kept."""
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, _BatchNorm) and layer.track_running_stats
    ]


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[list[_BatchNorm]]:
    """Within it, batch normalisation takes each batch's own statistics; all other layers are as they evaluate."""
    # A layer in training mode normalises by its batch, and updates its statistics by its momentum.
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
    with batch_statistics(model) as layers:
        if not layers:
            return 0
        for number, batch in enumerate(batches, 1):
            # With momentum 1 / n the moving average is the mean of the n batches so far.
            for layer in layers:
                layer.momentum = 1 / number
            model(batch.images_BHWC.to(device))
            n_seen += len(batch.images_BHWC)
            if n_seen >= STATISTICS_VIEWS:
                break
    return n_seen


@dataclass(frozen=True)
class FitOfStatistics:
    """How many of n training images are right in both modes, in one alone, and in all.

    right: as the network evaluates; right_by_batch: with each batch's own statistics; differ: right in one mode alone.
    """

    n: int
    right: int
    right_by_batch: int
    differ: int

    @property
    def top1(self) -> float:
        """Share that is right as the network evaluates, 0..1."""
        return self.right / self.n

    @property
    def top1_by_batch(self) -> float:
        """Share that is right with each batch's own statistics, 0..1."""
        return self.right_by_batch / self.n

    def as_record(self) -> dict[str, float]:
        """Both shares, 0..1, for validation.json."""
        return {"train_top1": self.top1, "train_top1_batch_statistics": self.top1_by_batch}

    @property
    def doubt(self) -> str:
        """A reason to distrust the network as it evaluates; "" for none.

        It is worse than with each batch's own statistics by more than 5 points and by three standard errors of the
        paired difference.
        """
        # Few images differ by luck, and many by a little that does no harm.
        n_lost = self.right_by_batch - self.right
        least_lost = max(LEAST_GAP * self.n, STANDARD_ERRORS * math.sqrt(self.differ))
        if n_lost <= least_lost:
            return ""
        return (
            f"the kept network is right on {self.top1:.1%} of its own training images, and on "
            f"{self.top1_by_batch:.1%} with the statistics of each batch: what batch normalisation has kept "
            "does not fit its weights. Raise train.batch_size or train.side_px, or train for more epochs"
        )


def check_statistics(
    model: Classifier, loader: BatchLoader, device: torch.device, *, is_frozen: bool = False
) -> FitOfStatistics:
    """Compare both modes on training images. loader: in mixed order, in batches as training takes them.

    is_frozen: it trained with the statistics it evaluates with, so both modes are the same, as without batch
    normalisation. The model stays as it is, but for batch normalisation's counts of batches. Raises NotFinite as
    `score` does.
    """
    right_N = torch.cat(
        [_is_right(one.logits_BK, one.batch.labels_B) for one in score(model, loader, device)]
    )
    # Without batch normalisation both modes are one.
    by_batch_N = right_N
    if batch_norms(model) and not is_frozen:
        by_batch_N = _right_by_batch(model, loader, device)
    return FitOfStatistics(
        n=len(right_N),
        right=int(right_N.sum()),
        right_by_batch=int(by_batch_N.sum()),
        differ=int((right_N != by_batch_N).sum()),
    )


@torch.no_grad()
def _right_by_batch(model: Classifier, loader: BatchLoader, device: torch.device) -> torch.Tensor:
    right: list[torch.Tensor] = []
    with batch_statistics(model) as layers:
        # With momentum 0 the statistics that are kept stay as they are.
        for layer in layers:
            layer.momentum = 0.0
        for batch in loader.epoch(0):
            logits_BK = model(batch.images_BHWC.to(device)).cpu()
            right.append(_is_right(logits_BK, batch.labels_B))
    return torch.cat(right)


def _is_right(logits_BK: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
    return logits_BK.argmax(1) == labels_B.cpu()
