"""Before the first epoch: filters that whiten the images, and a head fitted to features that are computed once.

B of N images, F features, K classes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pipeline_lib.loader import BatchLoader
from pipeline_lib.networks.build import head_name
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.infer import score
from pipeline_lib.networks.speed_net import Whitening
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.recipes import Recipe

log = logging.getLogger(__name__)
WHITENING_IMAGES = 5000


@dataclass(frozen=True)
class Probe:
    """How the fit of the head ended: its mean training loss, nats, without the penalty."""

    train_loss: float


@dataclass(frozen=True)
class Start:
    """recipe: of what is left to train. probe: None where none was made."""

    recipe: Recipe
    probe: Probe | None


def whiten_and_probe(
    model: Classifier,
    recipe: Recipe,
    *,
    objective: Objective,
    open_still: Callable[[], BatchLoader],
    device: torch.device,
    is_done: bool = False,
) -> Start:
    """Whiten and probe where network and recipe ask for it, in place; returns what is left to train.

    is_done: the weights come from a checkpoint, and only the recipe is needed. Processes that train together each do
    the same here, without a message to each other; DistributedDataParallel then begins with the weights of rank 0.
    open_still: opens the training images as evaluation sees them. A head that is no linear layer on pooled features
    (SqueezeNet's convolution) is left to the loop, which trains it with the images.
    """
    whitens = any(isinstance(module, Whitening) for module in model.network.modules())
    head = model.network.get_submodule(head_name(model.network))
    probes = recipe.probe_epochs > 0 and isinstance(head, nn.Linear)
    probe: Probe | None = None
    if (whitens or probes) and not is_done:
        with closing(open_still()) as loader:
            whiten(model, loader, device)
            if probes:
                probe = probe_head(
                    model,
                    recipe,
                    objective=objective,
                    loader=loader,
                    device=device,
                )
    # A copy unchecked: what is left after a probe alone is no recipe that trains something.
    left = recipe.model_copy(update={"probe_epochs": 0}) if probes else recipe
    return Start(recipe=left, probe=probe)


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
) -> Probe:
    """Fit the head alone, in place, on the backbone's features of each image as evaluation sees it.

    Multinomial logistic regression: the mean loss plus |w|^2 / 2N, scikit-learn's with its C = 1, in up to
    `probe_epochs` iterations of L-BFGS with all features at once. Nothing is augmented, and no label is smoothed: with
    smoothing 0.1 the head of docs/training.md's photographs is right 2 points less often.
    """
    head = model.network.get_submodule(head_name(model.network))
    features = _compute_features(model, head, objective, loader, device)
    n_images = len(features.weights_N)
    log.info("a head for %d images with %d features each", *features.inputs_NF.shape)

    unsmoothed = replace(objective, label_smoothing=0.0)
    weight_KF = head.get_parameter("weight")
    optimiser = torch.optim.LBFGS(
        [*head.parameters()], max_iter=recipe.probe_epochs, line_search_fn="strong_wolfe"
    )

    def mean_loss() -> Tensor:
        logits_NK = head(features.inputs_NF)
        losses_N = unsmoothed.losses(logits_NK, features.targets_N)
        return (losses_N * features.weights_N).mean()

    def penalised_loss() -> Tensor:
        optimiser.zero_grad()
        loss = mean_loss() + weight_KF.square().sum() / (2 * n_images)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(penalised_loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        probe = Probe(train_loss=float(mean_loss()))
    n_iterations = optimiser.state[next(head.parameters())]["n_iter"]
    log.info("the head alone: training loss %.4f after %d passes", probe.train_loss, n_iterations)
    return probe


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
