"""Logits for every image of a loader, once each: validation while training, and evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from pipeline_lib.errors import NotFinite
from pipeline_lib.loader import Batch, BatchLoader
from pipeline_lib.networks.classifier import Classifier

SHOWN_IMAGES = 3


@dataclass(frozen=True)
class Scored:
    """A batch with the logits_BK (float32, on the CPU) that a model gave it."""

    batch: Batch
    logits_BK: torch.Tensor


def score(model: Classifier, loader: BatchLoader, device: torch.device) -> Iterator[Scored]:
    """Yield each batch with its logits, in evaluation mode and float32 (on a GPU, convolutions take torch's TF32).

    Raises NotFinite when the answer to an image is no number.
    """
    model.eval()
    threads = torch.get_num_threads()
    for batch in loader.epoch(0):
        torch.set_num_threads(threads)  # ffcv sets its own number at each start
        with torch.no_grad():
            logits_BK = model(batch.images_BHWC.to(device)).float().cpu()
        if not torch.isfinite(logits_BK).all():
            raise _not_finite(model, batch, logits_BK, loader.image_ids, device)
        yield Scored(batch, logits_BK)


def _not_finite(
    model: Classifier,
    batch: Batch,
    logits_BK: torch.Tensor,
    image_ids: Sequence[str],
    device: torch.device,
) -> NotFinite:
    """The error that names the network, the first layer that overflows, and the first images it does so for."""
    strange_B = ~torch.isfinite(logits_BK).all(dim=1)
    images = [image_ids[position] for position in batch.positions_B[strange_B][:SHOWN_IMAGES].tolist()]
    layer = first_not_finite(model, batch.images_BHWC[strange_B].to(device))
    return NotFinite.of(
        model.name,
        layer=layer,
        images=images,
        n_images=int(strange_B.sum()),
    )


@torch.no_grad()
def first_not_finite(model: Classifier, images_BHWC: torch.Tensor) -> str:
    """The first layer, in the order of computation, whose output has a value that is not finite: its name and kind."""
    found: list[str] = []

    def watch(name: str, module: nn.Module) -> None:
        def look(_: nn.Module, __: object, output: object) -> None:
            if not found and isinstance(output, torch.Tensor) and not torch.isfinite(output).all():
                found.append(f"{name} ({type(module).__name__})")

        hooks.append(module.register_forward_hook(look))

    hooks: list[torch.utils.hooks.RemovableHandle] = []
    for name, module in model.network.named_modules():
        if next(module.children(), None) is None:
            watch(name, module)
    try:
        model(images_BHWC)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else "none of its layers"
