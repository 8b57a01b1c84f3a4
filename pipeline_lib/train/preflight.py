"""Preflight: check what training needs that does not depend on the data, before the first stage spends hours on data.

torch takes seconds to load, so it is imported only where something is to be tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_lib.errors import ConfigError
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.train.params import TrainParams
from pipeline_lib.train.recipes import RECIPES, Recipe

if TYPE_CHECKING:
    import torch
    from torch import nn

# Values per channel from which evaluation stays sound: with 3 or 4, as from 1 x 1 maps of as many images, answers of
# torchvision's networks reach 1e9 to 1e25 after four steps, or NaN (benchmarks/results/least_batch.json).
LEAST_VALUES = 8


def look_ahead(job: StageRun[TrainParams]) -> None:
    """Build the network, give it its starting weights, open the teacher and the device, and forget them all.

    job: with the params of `train` and no files. What recipes set by themselves is not tried: it works. Raises what
    `train` would: ConfigError, SourceMissing, BadData, DependencyMissing.
    """
    params = job.params
    is_as_shipped = _network_and_batch(params) == _network_and_batch(RECIPES[params.recipe])
    needs_files = params.weights is not None or params.teacher is not None
    if (
        is_as_shipped
        and not needs_files
        and params.processes == 1
        and job.settings.device != "cuda"
    ):
        return

    from pipeline_lib.networks.build import build_network
    from pipeline_lib.networks.device import choose_device
    from pipeline_lib.train.initial_weights import read_starting_weights, start_from
    from pipeline_lib.train.soft_targets import read_teacher

    device = choose_device(job.settings.device, threads=params.threads, seed=params.seed)
    network = build_network(params.network, n_classes=2, side_px=params.side_px)
    check_batch(network, params, n_images=None, processes=params.processes)
    weights = read_starting_weights(job)
    if weights is not None:
        start_from(network, weights, is_trial=True)
    read_teacher(job, [], device)


def _network_and_batch(recipe: Recipe) -> tuple[object, ...]:
    """The numbers that decide whether a network can be built and trained."""
    return recipe.network, recipe.side_px, recipe.batch_size, recipe.micro_batches


def smallest_part(recipe: Recipe, *, n_images: int | None, processes: int) -> int:
    """How many images one forward pass sees at least: of a batch, each process's share, in micro-batches.

    n_images: of the training split, which bounds the batch; None: not known yet.
    """
    batch_size = recipe.batch_size
    if n_images is not None:
        batch_size = min(batch_size, n_images)
    return batch_size // processes // recipe.micro_batches


def check_batch(
    network: nn.Module, recipe: Recipe, *, n_images: int | None, processes: int
) -> None:
    """Raise ConfigError where a forward pass would see one image, or batch normalisation fewer than 8 values a channel.

    The network is left in evaluation mode.
    """
    n_at_once = smallest_part(recipe, n_images=n_images, processes=processes)
    if n_at_once < 2:
        raise ConfigError(
            "a step would see one image at a time",
            file="params.yaml",
            value=f"{n_images} training images, {processes} processes, train.micro_batches {recipe.micro_batches}",
            remedy="lower train.processes or train.micro_batches, or add training images",
        )

    # Frozen batch normalisation computes no statistics.
    if recipe.freeze_batch_norm:
        return
    side_px = min(recipe.training_sides())
    layer, n_px = fewest_pixels(network, side_px)
    n_values = n_at_once * n_px
    if layer and n_values < LEAST_VALUES:
        raise ConfigError(
            f"{recipe.network} cannot be trained at {side_px} px with {n_at_once} images at once",
            file="params.yaml",
            value=f"batch normalisation {layer} would see {n_values} values a channel, {LEAST_VALUES} are needed",
            remedy=f"set train.side_px to {2 * side_px} or more, raise train.batch_size, or choose another "
            "train.network",
        )


def fewest_pixels(network: nn.Module, side_px: int) -> tuple[str, int]:
    """The batch normalisation that sees the fewest pixels of an image: its name, and how many; ("", 0) without any."""
    import torch

    from pipeline_lib.train.batch_norm import batch_norms

    n_pixels: dict[str, int] = {}
    names = {layer: name for name, layer in network.named_modules()}

    def look(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        n_pixels[names[layer]] = inputs[0][0, 0].numel()

    hooks = [layer.register_forward_pre_hook(look) for layer in batch_norms(network)]
    try:
        device = next(network.parameters()).device
        image_BCHW = torch.zeros(1, 3, side_px, side_px, device=device)
        with torch.no_grad():
            network.eval()(image_BCHW)
    finally:
        for hook in hooks:
            hook.remove()
    return min(n_pixels.items(), key=lambda found: found[1], default=("", 0))
