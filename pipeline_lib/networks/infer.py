"""Logits for every image of a loader, once each: validation while training, and evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from pipeline_lib.errors import NotFinite
from pipeline_lib.loader import Batch, BatchLoader
from pipeline_lib.networks.classifier import Classifier

SHOWN_IMAGES = 3  # named in an error


@dataclass(frozen=True)
class Scored:
    """A batch with the logits_BK (float32, on the CPU) that a model gave it."""

    batch: Batch
    logits_BK: torch.Tensor


def score(model: Classifier, loader: BatchLoader, device: torch.device) -> Iterator[Scored]:
    """Yield each batch with its logits, in evaluation mode and float32 (on a GPU, convolutions take torch's TF32).

    Raises NotFinite when the logits of an image are not finite.
    """
    model.eval()
    threads = torch.get_num_threads()
    for batch in loader.epoch(0):
        # FFCV sets its own number of threads at each start.
        torch.set_num_threads(threads)
        with torch.no_grad():
            logits_BK = model(batch.images_BHWC.to(device))
        logits_BK = logits_BK.float().cpu()
        if not torch.isfinite(logits_BK).all():
            raise _not_finite(model, batch, logits_BK, loader.image_ids, device)
        yield Scored(batch=batch, logits_BK=logits_BK)


def _not_finite(
    model: Classifier,
    batch: Batch,
    logits_BK: torch.Tensor,
    image_ids: Sequence[str],
    device: torch.device,
) -> NotFinite:
    """The error that names the network, the first layer that overflows, and the first images it does so for."""
    is_bad_B = ~torch.isfinite(logits_BK).all(dim=1)
    positions = batch.positions_B[is_bad_B][:SHOWN_IMAGES].tolist()
    layer = first_not_finite(model, batch.images_BHWC[is_bad_B].to(device))
    return NotFinite.of(
        model.name,
        layer=layer,
        images=[image_ids[position] for position in positions],
        n_images=int(is_bad_B.sum()),
    )


@torch.no_grad()
def first_not_finite(model: Classifier, images_BHWC: torch.Tensor) -> str:
    """The first layer, in the order of computation, whose output has a value that is not finite: its name and kind."""
    found: list[str] = []
    hooks: list[torch.utils.hooks.RemovableHandle] = []

    def watch(name: str, module: nn.Module) -> None:
        def look(_: nn.Module, __: object, output: object) -> None:
            if not found and isinstance(output, torch.Tensor) and not torch.isfinite(output).all():
                found.append(f"{name} ({type(module).__name__})")

        hooks.append(module.register_forward_hook(look))

    # Only layers without layers of their own: a block overflows where one of its layers does.
    for name, module in model.network.named_modules():
        is_leaf = next(module.children(), None) is None
        if is_leaf:
            watch(name, module)
    try:
        model(images_BHWC)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else "none of its layers"
