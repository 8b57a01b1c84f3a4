"""What the epochs of a training showed: curves.csv, the epoch that is kept, and what speaks against it."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass, replace

import torch

from pipeline_lib.harness.tracking import Tell

log = logging.getLogger(__name__)
MOST_LINES = 50  # of epochs, in a log
CLEAR = 2  # standard errors of a difference of two shares


@dataclass(frozen=True)
class Epoch:
    """One row of curves.csv; epoch 0 is a head fitted to frozen features, before other layers train.

    Losses are means per image in nats, learning_rate is the last step's.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_top1: float
    learning_rate: float


@dataclass(frozen=True)
class Trained:
    """The curves, and the weights (a network's state dict) of the epoch that validated best."""

    curves: list[Epoch]
    best: Epoch
    state: dict[str, torch.Tensor]


def best(curves: list[Epoch]) -> Epoch:
    """The first epoch with the lowest validation loss.

    Not the highest top-1: on 182 images one image is half a percent, and luck would choose an early epoch.
    """
    return min(curves, key=lambda epoch: epoch.val_loss)


def best_of(rounds: list[Trained]) -> Trained:
    """The curves of all rounds, one after the other, and the weights that validate best among them."""
    # Each round counts its epochs from 1, or from 0 after a probe; curves.csv counts them on.
    curves = [epoch for trained in rounds for epoch in trained.curves]
    first = curves[0].epoch
    counted = [replace(epoch, epoch=number) for number, epoch in enumerate(curves, first)]
    chosen = min(rounds, key=lambda trained: trained.best.val_loss)
    return Trained(
        curves=counted,
        best=best(counted),
        state=chosen.state,
    )


def doubt(curves: list[Epoch], n_val: int) -> str:
    """A reason to distrust the kept epoch: a later one was right clearly more often; "" for none.

    n_val: images of the validation split.
    """
    # An earlier epoch was right more often before the loss fell: no reason to worry.
    kept = best(curves)
    highest = max(curves, key=lambda epoch: epoch.val_top1)
    standard_error = math.sqrt(0.5 / n_val)  # of a difference of two shares, at most
    gain = highest.val_top1 - kept.val_top1
    if highest.epoch <= kept.epoch or gain < CLEAR * standard_error:
        return ""
    return (
        f"epoch {highest.epoch} was right more often ({100 * highest.val_top1:.2f} %), with a higher validation loss: "
        "the network is too sure of itself. Try a lower train.peak_learning_rate, starting weights or more images"
    )


def report(epoch: Epoch, n_epochs: int, tell: Tell | None) -> None:
    """Log an epoch, and send its metrics to the trackers. Epoch 0 is a probe."""
    if is_logged(epoch.epoch, n_epochs):
        losses = f"training loss {epoch.train_loss:.4f}, validation loss {epoch.val_loss:.4f}"
        which = f"epoch {epoch.epoch}/{n_epochs}" if epoch.epoch else "the head alone"
        log.info("%s: %s, top-1 %.2f %%", which, losses, 100 * epoch.val_top1)
    if tell:
        tell(epoch.epoch, asdict(epoch))


def is_logged(epoch: int, n_epochs: int) -> bool:
    """Whether an epoch (from 1) gets a line of its own: every one, or of many some fifty, and the last."""
    every = max(1, math.ceil(n_epochs / MOST_LINES))
    return epoch % every == 0 or epoch == n_epochs
