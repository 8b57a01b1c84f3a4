"""The training loop: through the phases of a recipe, epoch by epoch, to the weights that validate best."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from pipeline_lib.loader import Batch, BatchLoader
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.infer import score
from pipeline_lib.progress import Meter
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.losses import Losses
from pipeline_lib.train.objective import Objective
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
class Loaders:
    """Training views in keyed order, and the evaluation views of the validation split."""

    train: BatchLoader
    val: BatchLoader


@dataclass(frozen=True)
class Trained:
    """The curves, and the weights (a network's state dict) of the epoch that validated best."""

    curves: list[Epoch]
    best: Epoch
    state: dict[str, torch.Tensor]


def train(
    model: Classifier, recipe: Recipe, *, objective: Objective, loaders: Loaders, device: torch.device, meter: Meter
) -> Trained:
    """Train `model` in place through the recipe's phases; keep the epoch with the lowest validation loss.

    Raises ConfigError when the loss stops being finite.
    """
    curves: list[Epoch] = []
    state: dict[str, torch.Tensor] = {}
    n_epochs = sum(phase.epochs for phase in phases(recipe))
    for phase in phases(recipe):
        learner = Learner(model, recipe, phase, objective=objective, device=device)
        for number in range(phase.epochs):
            curves.append(_epoch(learner, loaders, number, before=curves, meter=meter))
            log.info("epoch %d/%d: %s", len(curves), n_epochs, _in_words(curves[-1]))
            if curves[-1] is best(curves):
                weights = learner.judged.network.state_dict()
                state = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
    return Trained(curves, best(curves), state)


def _epoch(learner: Learner, loaders: Loaders, number: int, *, before: list[Epoch], meter: Meter) -> Epoch:
    """Train one epoch, `number` of its phase (0-based), and validate. before: the epochs so far, of all phases."""
    learner.begin_epoch()
    losses = Losses(learner.device, loaders.train.image_ids)
    n_steps, rate = learner.phase.epochs * len(loaders.train), 0.0
    top1 = f", validation top-1 {100 * before[-1].val_top1:.1f} %" if before else ""
    for step, batch in enumerate(_batches(loaders.train, len(before)), number * len(loaders.train)):
        rate = learning_rate(step, n_steps, peak=learner.phase.peak_learning_rate, schedule=learner.recipe.schedule)
        losses.add(learner.update(batch, rate=rate), batch)
        meter.step(len(batch.labels_B), f"epoch {len(before) + 1}, loss {losses.so_far:.3f}{top1}")
    val_loss, val_top1 = validate(learner.judged, loaders.val, learner.device)
    return Epoch(len(before) + 1, losses.mean(), val_loss, val_top1, rate)


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
    """The first epoch with the lowest validation loss.

    Not the highest top-1: on 182 pictures one picture is half a percent, and luck would choose an early epoch.
    """
    return min(curves, key=lambda epoch: epoch.val_loss)


def _batches(loader: BatchLoader, epoch: int) -> Iterator[Batch]:
    """The batches of an epoch, with our number of threads: ffcv sets its own at each start."""
    threads = torch.get_num_threads()
    for batch in loader.epoch(epoch):
        torch.set_num_threads(threads)
        yield batch


def _in_words(epoch: Epoch) -> str:
    losses = f"training loss {epoch.train_loss:.4f}, validation loss {epoch.val_loss:.4f}"
    return f"{losses}, top-1 {100 * epoch.val_top1:.2f} %"
