"""Before the first epoch: filters that whiten the images, and a head trained on features that are computed once.

B of N images, F features, K classes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline_lib.loader import BatchLoader
from pipeline_lib.networks.build import head_name
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.infer import score
from pipeline_lib.networks.speed_net import Whitening
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.recipes import Recipe
from pipeline_lib.train.schedule import learning_rate

log = logging.getLogger(__name__)
WHITENING_IMAGES = 5000


def whiten_and_probe(
    model: Classifier,
    recipe: Recipe,
    *,
    objective: Objective,
    open_still: Callable[[], BatchLoader],
    device: torch.device,
    is_done: bool = False,
) -> Recipe:
    """Whiten and probe where network and recipe ask for it, in place; returns the recipe of what is left to train.

    is_done: the weights come from a checkpoint, and only the recipe is needed. Processes that train together each do
    the same here, without a message to each other; DistributedDataParallel then begins with the weights of rank 0.
    open_still: opens the training images as evaluation sees them. A head that is no linear layer on pooled features
    (SqueezeNet's convolution) is left to the loop, which trains it with the images.
    """
    whitens = any(isinstance(module, Whitening) for module in model.network.modules())
    head = model.network.get_submodule(head_name(model.network))
    probes = recipe.probe_epochs > 0 and isinstance(head, nn.Linear)
    if (whitens or probes) and not is_done:
        with closing(open_still()) as loader:
            whiten(model, loader, device)
            if probes:
                probe_head(
                    model,
                    recipe,
                    objective=objective,
                    loader=loader,
                    device=device,
                )
    return recipe.changed(probe_epochs=0) if probes else recipe


def whiten(model: Classifier, loader: BatchLoader, device: torch.device) -> None:
    """Give a network that begins with whitening its filters, from the first images of `loader`; else do nothing."""
    # The first images of an order by position: the same in every process.
    layers = [module for module in model.network.modules() if isinstance(module, Whitening)]
    if not layers:
        return
    images: list[Tensor] = []
    for batch in loader.epoch(0):
        images.append(model.normalised(batch.images_BHWC.to(device)))
        if sum(map(len, images)) >= WHITENING_IMAGES:
            break
    for layer in layers:
        layer.whiten(torch.cat(images))


def probe_head(
    model: Classifier,
    recipe: Recipe,
    *,
    objective: Objective,
    loader: BatchLoader,
    device: torch.device,
) -> None:
    """Train the head alone, in place, on the backbone's features of each image as evaluation sees it.

    A linear probe with AdamW; batches are drawn from torch's random state, nothing is augmented.
    """
    head = model.network.get_submodule(head_name(model.network))
    features = _compute_features(model, head, objective, loader, device)
    log.info("a head for %d images with %d features each", *features.inputs_NF.shape)

    optimiser = torch.optim.AdamW(head.parameters(), weight_decay=recipe.weight_decay)
    # Equal batches of about the recipe's size.
    n_images = len(features.weights_N)
    n_batches = max(1, n_images // recipe.batch_size)
    n_steps = recipe.probe_epochs * n_batches
    loss = torch.zeros(())
    for step in range(n_steps):
        # A new order at the beginning of each epoch.
        if step % n_batches == 0:
            order = torch.randperm(n_images).to(device).chunk(n_batches)
        rows_B = order[step % n_batches]
        rate = learning_rate(step, n_steps, peak=recipe.probe_learning_rate, schedule="cosine")
        for group in optimiser.param_groups:
            group["lr"] = rate

        logits_BK = head(features.inputs_NF[rows_B])
        losses_B = objective.losses(logits_BK, features.targets_N[rows_B])
        loss = (losses_B * features.weights_N[rows_B]).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    log.info("the head alone: training loss %.4f after %d steps", float(loss.detach()), n_steps)


@dataclass(frozen=True)
class _Features:
    """The head's inputs, float32 [N, F], with target and weight of each image, on the device."""

    inputs_NF: Tensor
    targets_N: Tensor
    weights_N: Tensor


def _compute_features(
    model: Classifier,
    head: nn.Module,
    objective: Objective,
    loader: BatchLoader,
    device: torch.device,
) -> _Features:
    """Run the backbone once over all images of the loader."""
    inputs: list[Tensor] = []
    labels: list[Tensor] = []
    weights: list[Tensor] = []
    positions: list[Tensor] = []
    # The hook sees what enters the head, whatever the network around it is.
    hook = head.register_forward_pre_hook(lambda _, given: inputs.append(given[0].float().clone()))
    try:
        for scored in score(model, loader, device):
            labels.append(scored.batch.labels_B)
            weights.append(scored.batch.weights_B)
            positions.append(scored.batch.positions_B)
    finally:
        hook.remove()
    labels_N = torch.cat(labels).to(device)
    positions_N = torch.cat(positions).to(device)
    return _Features(
        inputs_NF=torch.cat(inputs),
        targets_N=objective.targets(labels_N, positions_N),
        weights_N=torch.cat(weights).to(device),
    )
