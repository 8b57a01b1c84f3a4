"""Logits for every image of a loader, once each: validation while training, and evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from pipeline_lib.loader import Batch, BatchLoader
from pipeline_lib.networks.classifier import Classifier


@dataclass(frozen=True)
class Scored:
    """A batch with the logits_BK (float32, on the CPU) that a model gave it."""

    batch: Batch
    logits_BK: torch.Tensor


def score(model: Classifier, loader: BatchLoader, device: torch.device) -> Iterator[Scored]:
    """Yield each batch with its logits, in evaluation mode and float32 (on a GPU, convolutions take torch's TF32)."""
    model.eval()
    threads = torch.get_num_threads()
    for batch in loader.epoch(0):
        torch.set_num_threads(threads)  # ffcv sets its own number at each start
        with torch.no_grad():
            logits_BK = model(batch.images_BHWC.to(device)).float().cpu()
        yield Scored(batch, logits_BK)
