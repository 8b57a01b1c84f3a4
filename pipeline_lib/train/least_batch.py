"""Whether the images a network sees at once are enough for its batch normalisation."""

from __future__ import annotations

import torch
from torch import nn

from pipeline_lib.errors import ConfigError
from pipeline_lib.train.batch_statistics import batch_norms
from pipeline_lib.train.recipes import Recipe

# Values per channel from which evaluation stays sound: with 3 or 4, as from 1 x 1 maps of as many images, answers of
# torchvision's networks reach 1e9 to 1e25 after four steps, or NaN (benchmarks/results/least_batch.json).
LEAST_VALUES = 8


def smallest_part(recipe: Recipe, *, n_images: int | None, processes: int) -> int:
    """How many images one forward pass sees at least: of a batch, each process's share, in micro-batches.

    n_images: of the training split, which bounds the batch; None: not known yet.
    """
    batch_size = recipe.batch_size if n_images is None else min(recipe.batch_size, n_images)
    return batch_size // processes // recipe.micro_batches


def check_part(network: nn.Module, recipe: Recipe, *, n_images: int | None, processes: int) -> None:
    """Raise ConfigError where a forward pass would see one image, or batch normalisation fewer than 8 values a channel.

    The network is left in evaluation mode.
    """
    part = smallest_part(recipe, n_images=n_images, processes=processes)
    if part < 2:
        value = f"{n_images} training images, {processes} processes, train.micro_batches {recipe.micro_batches}"
        remedy = "lower train.processes or train.micro_batches, or add training images"
        raise ConfigError("a step would see one image at a time", file="params.yaml", value=value, remedy=remedy)
    if recipe.freeze_batch_norm:
        return
    side_px = min(recipe.training_sides())
    layer, n_px = fewest_pixels(network, side_px)
    if layer and part * n_px < LEAST_VALUES:
        what = f"{recipe.network} cannot be trained at {side_px} px with {part} images at once"
        value = f"batch normalisation {layer} would see {part * n_px} values a channel, {LEAST_VALUES} are needed"
        remedy = f"set train.side_px to {2 * side_px} or more, raise train.batch_size, or choose another train.network"
        raise ConfigError(what, file="params.yaml", value=value, remedy=remedy)


@torch.no_grad()
def fewest_pixels(network: nn.Module, side_px: int) -> tuple[str, int]:
    """The batch normalisation that sees the fewest pixels of an image: its name, and how many; ("", 0) without any."""
    sizes: dict[str, int] = {}
    names = {layer: name for name, layer in network.named_modules()}

    def look(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        sizes[names[layer]] = inputs[0][0, 0].numel()

    hooks = [layer.register_forward_pre_hook(look) for layer in batch_norms(network)]
    try:
        device = next(network.parameters()).device
        network.eval()(torch.zeros(1, 3, side_px, side_px, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return min(sizes.items(), key=lambda found: found[1], default=("", 0))
