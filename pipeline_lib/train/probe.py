"""Before the first epoch: a head on features computed once, and filters that whiten the pictures at hand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import torch
from torch import Tensor, nn

from pipeline_lib.loader import BatchLoader
from pipeline_lib.networks.build import head_name
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.infer import score
from pipeline_lib.networks.speed import Whitening
from pipeline_lib.train.objective import Objective
from pipeline_lib.train.recipes import Recipe
from pipeline_lib.train.schedule import learning_rate

log = logging.getLogger(__name__)
WHITENING_PICTURES = 5000


def prepare(
    model: Classifier,
    recipe: Recipe,
    *,
    objective: Objective,
    open_still: Callable[[], BatchLoader],
    device: torch.device,
    is_done: bool = False,
) -> Recipe:
    """Whiten and probe where network and recipe ask for it, in place; returns the recipe of what is left to train.

    is_done: the weights come from a checkpoint, and only the recipe is asked for. Processes that train together each
    do the same here, without a word to each other; DistributedDataParallel then begins with the weights of rank 0.
    open_still: opens the training pictures as evaluation sees them. A head that is no linear layer on pooled features
    (SqueezeNet's convolution) is left to the loop, which trains it with the pictures.
    """
    whitens = any(isinstance(module, Whitening) for module in model.network.modules())
    is_linear = isinstance(model.network.get_submodule(head_name(model.network)), nn.Linear)
    probes = bool(recipe.probe_epochs) and is_linear
    if (whitens or probes) and not is_done:
        with closing(open_still()) as loader:
            whiten(model, loader, device)
            if probes:
                train_head(model, recipe, objective=objective, loader=loader, device=device)
    return replace(recipe, probe_epochs=0) if probes else recipe


def train_head(
    model: Classifier, recipe: Recipe, *, objective: Objective, loader: BatchLoader, device: torch.device
) -> None:
    """Train the head alone, in place, on what the backbone says of each picture as evaluation sees it.

    A linear probe with AdamW; batches are drawn from torch's random state, nothing is augmented.
    """
    head = model.network.get_submodule(head_name(model.network))
    features_NF, targets_N, weights_N = _features(model, head, objective, loader, device)
    log.info("a head for %d pictures with %d features each", *features_NF.shape)
    optimiser = torch.optim.AdamW(head.parameters(), weight_decay=recipe.weight_decay)
    n_batches = max(1, len(targets_N) // recipe.batch_size)
    n_steps, loss = recipe.probe_epochs * n_batches, torch.zeros(())
    for step in range(n_steps):
        if step % n_batches == 0:
            order = torch.randperm(len(targets_N)).to(device).chunk(n_batches)
        rows_B = order[step % n_batches]
        rate = learning_rate(step, n_steps, peak=recipe.probe_learning_rate, schedule="cosine")
        for group in optimiser.param_groups:
            group["lr"] = rate
        losses_B = objective.losses(head(features_NF[rows_B]), targets_N[rows_B])
        loss = (losses_B * weights_N[rows_B]).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    log.info("the head alone: training loss %.4f after %d steps", float(loss.detach()), n_steps)


def _features(
    model: Classifier, head: nn.Module, objective: Objective, loader: BatchLoader, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """What enters the head, float32 [N, F], with target and weight of each picture, on the device."""
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].float().clone()))
    try:
        batches = (scored.batch for scored in score(model, loader, device))
        about = [(batch.labels_B, batch.weights_B, batch.positions_B) for batch in batches]  # without the pictures
    finally:
        hook.remove()
    labels_N, weights_N, positions_N = (torch.cat(parts).to(device) for parts in zip(*about, strict=True))
    return torch.cat(seen), objective.targets(labels_N, positions_N), weights_N


def whiten(model: Classifier, loader: BatchLoader, device: torch.device) -> None:
    """Give a network that begins with whitening its filters, from the first pictures of `loader`; else do nothing."""
    layers = [module for module in model.network.modules() if isinstance(module, Whitening)]
    pictures: list[Tensor] = []
    for batch in loader.epoch(0) if layers else ():
        pictures.append(model.normalised(batch.images_BHWC.to(device)))
        if sum(map(len, pictures)) >= WHITENING_PICTURES:
            break
    for layer in layers:
        layer.whiten(torch.cat(pictures))
