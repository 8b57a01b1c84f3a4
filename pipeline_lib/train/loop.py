"""The training loop. A model takes raw pixels (uint8 images_BHWC) and gives logits_BK: B images, K classes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipeline_lib.loader import Batch, BatchLoader
from pipeline_lib.networks.build import head_name
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.infer import score
from pipeline_lib.progress import Meter
from pipeline_lib.train.losses import Losses
from pipeline_lib.train.optimiser import Optimiser, build_optimiser
from pipeline_lib.train.recipes import Recipe
from pipeline_lib.train.schedule import learning_rate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Epoch:
    """One row of curves.csv: losses are means per image in nats, learning_rate is the last step's."""

    epoch: int
    train_loss: float
    val_loss: float
    val_top1: float
    learning_rate: float


@dataclass(frozen=True)
class Phase:
    """Epochs with one optimiser: of the head alone (a linear probe), or of everything."""

    epochs: int
    peak_learning_rate: float
    head_only: bool


@dataclass(frozen=True)
class Trained:
    """The curves, and the weights (a network's state dict) of the epoch that validated best."""

    curves: list[Epoch]
    best: Epoch
    state: dict[str, torch.Tensor]


def train(
    model: Classifier,
    recipe: Recipe,
    *,
    train_loader: BatchLoader,
    val_loader: BatchLoader,
    device: torch.device,
    meter: Meter,
) -> Trained:
    """Train `model` in place through the recipe's phases; keep the epoch with the highest top-1, then lowest loss.

    Raises ConfigError when the loss stops being finite.
    """
    curves: list[Epoch] = []
    state: dict[str, torch.Tensor] = {}
    for phase in phases(recipe):
        _freeze(model, phase)
        optimiser, average = build_optimiser(model.network, recipe), _average(model, recipe)
        for number in range(phase.epochs):
            _set_mode(model, phase)
            losses = Losses(device, train_loader.image_ids)
            for step, batch in enumerate(_batches(train_loader, len(curves)), number * len(train_loader)):
                rate = learning_rate(
                    step, phase.epochs * len(train_loader), peak=phase.peak_learning_rate, schedule=recipe.schedule
                )
                losses.add(
                    _step(model, optimiser, batch, rate=rate, smoothing=recipe.label_smoothing, device=device), batch
                )
                if average is not None:
                    average.update_parameters(model)
                meter.step(len(batch.labels_B), _note(curves, losses))
            judged = model if average is None else cast(Classifier, average.module)
            val_loss, val_top1 = validate(judged, val_loader, device)
            curves.append(Epoch(len(curves) + 1, losses.mean(), val_loss, val_top1, rate))
            log.info("epoch %d/%d: train loss %.4f, validation loss %.4f, top-1 %.2f %%", *_summary(curves, recipe))
            if curves[-1] is best(curves):
                state = {name: tensor.detach().cpu().clone() for name, tensor in judged.network.state_dict().items()}
    return Trained(curves, best(curves), state)


def phases(recipe: Recipe) -> list[Phase]:
    """The head alone where the recipe probes first, then everything."""
    probe = Phase(recipe.probe_epochs, recipe.probe_learning_rate, head_only=True)
    whole = Phase(recipe.epochs, recipe.peak_learning_rate, head_only=False)
    return [probe, whole] if recipe.probe_epochs else [whole]


def validate(model: Classifier, loader: BatchLoader, device: torch.device) -> tuple[float, float]:
    """Mean loss in nats (no smoothing) and top-1 (0..1) over every image of the loader."""
    loss, right, images = 0.0, 0, 0
    for scored in score(model, loader, device):
        labels_B = scored.batch.labels_B
        loss += F.cross_entropy(scored.logits_BK, labels_B, reduction="sum").item()
        right += int((scored.logits_BK.argmax(1) == labels_B).sum())
        images += len(labels_B)
    return loss / images, right / images


def best(curves: list[Epoch]) -> Epoch:
    """The epoch with the highest validation top-1; among equals the lowest loss, then the first."""
    return min(curves, key=lambda epoch: (-epoch.val_top1, epoch.val_loss, epoch.epoch))


def _step(
    model: Classifier,
    optimiser: Optimiser,
    batch: Batch,
    *,
    rate: float,
    smoothing: float,
    device: torch.device,
) -> torch.Tensor:
    """One update at learning rate `rate`; returns the batch's mean weighted loss."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    images_BHWC, labels_B, weights_B = (
        tensor.to(device, non_blocking=True) for tensor in (batch.images_BHWC, batch.labels_B, batch.weights_B)
    )
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
        losses_B = F.cross_entropy(model(images_BHWC), labels_B, label_smoothing=smoothing, reduction="none")
    loss = (losses_B * weights_B).mean()
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return loss


def _batches(loader: BatchLoader, epoch: int) -> Iterator[Batch]:
    """The batches of an epoch, with our number of threads: ffcv sets its own at each start."""
    threads = torch.get_num_threads()
    for batch in loader.epoch(epoch):
        torch.set_num_threads(threads)
        yield batch


def _freeze(model: Classifier, phase: Phase) -> None:
    """Let only the phase's weights take gradients."""
    model.requires_grad_(not phase.head_only)
    model.network.get_submodule(head_name(model.network)).requires_grad_(True)


def _set_mode(model: Classifier, phase: Phase) -> None:
    """Training mode; a frozen backbone stays as it evaluates, or batch normalisation would move under the probe."""
    model.train(not phase.head_only)
    model.network.get_submodule(head_name(model.network)).train()


def _average(model: Classifier, recipe: Recipe) -> AveragedModel | None:
    if not recipe.ema_decay:
        return None
    share = get_ema_multi_avg_fn(recipe.ema_decay)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=share, use_buffers=True)


def _note(curves: list[Epoch], losses: Losses) -> str:
    top1 = f", top-1 {100 * curves[-1].val_top1:.1f} %" if curves else ""
    return f"epoch {len(curves) + 1}, loss {losses.so_far:.3f}{top1}"


def _summary(curves: list[Epoch], recipe: Recipe) -> tuple[object, ...]:
    last = curves[-1]
    return last.epoch, recipe.probe_epochs + recipe.epochs, last.train_loss, last.val_loss, 100 * last.val_top1
