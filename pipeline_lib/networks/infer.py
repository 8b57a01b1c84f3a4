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
# Pixels that a CPU looks at together, four images of 224 px. Of more, a layer's output exceeds what malloc keeps for reuse
# (device.keep_freed_memory), and clearing new pages takes longer than the arithmetic: EfficientNet-Lite0 at 224 px, two
# threads, 41 CPU ms an image by 64, 21 by 4 and memory of 4 GB in place of .6.
PIXELS_AT_ONCE = 4 * 224 * 224


@dataclass(frozen=True)
class Scored:
    """A batch with the logits_BK (float32, on the CPU) that a model gave it."""

    batch: Batch
    logits_BK: torch.Tensor


def score(model: Classifier, loader: BatchLoader, device: torch.device) -> Iterator[Scored]:
    """Yield each batch with its logits, in evaluation mode and float32 (on a GPU, convolutions take torch's TF32).

    Raises NotFinite when the logits of an image are not finite.
    """
    threads = torch.get_num_threads()
    for batch in loader.epoch(0):
        # FFCV sets its own number of threads at each start.
        torch.set_num_threads(threads)
        image_ids = [loader.image_ids[position] for position in batch.positions_B.tolist()]
        logits_BK = logits_of(model, batch.images_BHWC, device, image_ids=image_ids)
        yield Scored(batch=batch, logits_BK=logits_BK)


@torch.no_grad()
def logits_of(
    model: Classifier,
    images_BHWC: torch.Tensor,
    device: torch.device,
    *,
    image_ids: Sequence[str],
) -> torch.Tensor:
    """The logits_BK of one batch, as `score` says. image_ids: of the batch, named where the logits are not finite."""
    model.eval()
    logits_BK = torch.cat(
        [model(part.to(device)).float().cpu() for part in parts_for(device, images_BHWC)]
    )
    is_bad_B = ~torch.isfinite(logits_BK).all(dim=1)
    if is_bad_B.any():
        raise NotFinite.of(
            model.name,
            layer=first_not_finite(model, images_BHWC[is_bad_B].to(device)),
            images=[image_ids[n] for n in is_bad_B.nonzero().flatten().tolist()][:SHOWN_IMAGES],
            n_images=int(is_bad_B.sum()),
        )
    return logits_BK


def parts_for(device: torch.device, images_BHWC: torch.Tensor) -> Sequence[torch.Tensor]:
    """A batch as a device answers it soonest: on a CPU, in parts of PIXELS_AT_ONCE."""
    n_pixels = images_BHWC.shape[1] * images_BHWC.shape[2]
    at_once = max(1, PIXELS_AT_ONCE // n_pixels) if device.type == "cpu" else len(images_BHWC)
    return torch.split(images_BHWC, at_once)


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
