"""The statistics that batch normalisation evaluates with: those of the weights that are kept, over training views.

While it trains, a network normalises by each batch's own mean and variance, and keeps a moving average of them for
evaluation. That average lags behind the weights by some ten steps, and behind averaged weights by far more: after a
short training it still holds the beginning. So before each validation the statistics are estimated anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pipeline_lib.loader import Batch
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.train.recipes import STATISTICS_VIEWS


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
