"""What training needs that no picture changes, tried before the first stage spends hours on data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_lib.errors import ConfigError
from pipeline_lib.stage import StageRun
from pipeline_lib.train.recipes import Recipe

if TYPE_CHECKING:
    import torch
    from torch import nn


def look_ahead(job: StageRun) -> None:
    """Build the network, give it its starting weights, open the teacher and the device, and forget them all.

    job: with the params of `train` and no files. What recipes set by themselves is not tried: it works,
    and torch takes seconds to load. Raises what `train` would: ConfigError, SourceMissing, BadData, DependencyMissing.
    """
    params, settings = job.params, job.settings
    wanted = (params.network, params.side_px, params.batch_size, params.micro_batches, params.weights, params.teacher)
    if not any(wanted) and params.processes == 1 and settings.device != "cuda":
        return
    from pipeline_lib.networks.build import build_network
    from pipeline_lib.networks.device import open_device
    from pipeline_lib.train.initial_weights import give_starting_weights
    from pipeline_lib.train.soft_targets import open_teacher

    device, recipe = open_device(settings.device, threads=params.threads, seed=params.seed), params.resolved()
    network = build_network(recipe.network, n_classes=2, side_px=recipe.side_px)
    check_part(network, recipe, n_images=None, processes=params.processes)
    give_starting_weights(network, job)
    open_teacher(job, [], device)


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


def fewest_pixels(network: nn.Module, side_px: int) -> tuple[str, int]:
    """The batch normalisation that sees the fewest pixels of an image: its name, and how many; ("", 0) without any."""
    import torch

    from pipeline_lib.train.batch_norm import batch_norms

    sizes: dict[str, int] = {}
    names = {layer: name for name, layer in network.named_modules()}

    def look(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        sizes[names[layer]] = inputs[0][0, 0].numel()

    hooks = [layer.register_forward_pre_hook(look) for layer in batch_norms(network)]
    try:
        device = next(network.parameters()).device
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, side_px, side_px, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return min(sizes.items(), key=lambda found: found[1], default=("", 0))
