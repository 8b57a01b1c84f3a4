"""The training loop: through the phases of a recipe, epoch by epoch, to the weights that validate best.

A run can stop after any step and go on from its checkpoint as if nothing had been: on a CPU, bit for bit. So whatever
the next step depends on must be in one of these places, and nowhere else:

- `Learner.state` and `load_state`: weights, moving average, optimiser, and what else an update changes;
- `Standing`, here: where the run is, the curves, the best weights, the losses of this epoch;
- torch's own random state, saved beside them. Another generator belongs into `Learner.state`;
- `Learner.own_state`: what differs among processes that train together;
- a function of the step or of the curves, as the learning rate is: nothing to save. Early stopping reads `curves`.

Several processes run this same loop (ranks.py), each with its share of every batch. They must all come by the same
collective calls; writing and talking is for rank 0.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F

from pipeline_lib.harness.progress import Meter
from pipeline_lib.harness.tracking import Tell
from pipeline_lib.loader import Batch, BatchLoader
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.infer import score
from pipeline_lib.train.budget import Stopwatch, step_by_time
from pipeline_lib.train.checkpoint import Checkpoints
from pipeline_lib.train.feed import fed
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.losses import Losses
from pipeline_lib.train.memory import named_in_validation, with_remedy
from pipeline_lib.train.objective import Objective
from pipeline_lib.train.ranks import gathered, rank, sums, world
from pipeline_lib.train.recipes import Recipe
from pipeline_lib.train.resizing import ResizingLoader
from pipeline_lib.train.schedule import kept_share, learning_rate, out_of_patience

log = logging.getLogger(__name__)
MOST_LINES = 50  # of epochs, in a log


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


@dataclass
class Standing:
    """How far a run has come: `step` steps of epoch `epoch` of phase `phase` are done, all counted from 0."""

    phase: int = 0
    epoch: int = 0
    step: int = 0
    curves: list[Epoch] = field(default_factory=list)  # of all phases
    best_state: dict[str, torch.Tensor] = field(default_factory=dict)  # on the CPU
    rate: float = 0.0  # learning rate of the last step
    spent_s: float = 0.0  # of the phase's time, where it is limited
    ahead: int = 0  # epochs by which the pictures' size is ahead
    loss: list[float] = field(default_factory=list)  # Losses.state of an epoch that goes on

    def as_state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {**vars(self), "curves": [asdict(epoch) for epoch in self.curves]}


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
    objective: Objective,
    loaders: Loaders,
    device: torch.device,
    meter: Meter,
    checkpoints: Checkpoints | None = None,
    saved: Mapping[str, Any] | None = None,
    tell: Tell | None = None,
) -> Trained:
    """Train `model` in place through the recipe's phases; keep the epoch with the lowest validation loss.

    saved: what `checkpoints` had kept, to go on from. tell: is given the figures of each epoch. Raises ConfigError when
    the loss stops being finite or the memory does not suffice, Interrupted after SIGTERM, when all is saved.
    """
    at, plan = Standing(), phases(recipe)
    if saved:
        at = Standing(**{**saved["at"], "curves": [Epoch(**row) for row in saved["at"]["curves"]]})
        done = sum(phase.epochs for phase in plan[: at.phase]) + at.epoch
        log.info("going on from the checkpoint: %d epochs and %d steps are done", done, at.step)
        meter.skip((done * len(loaders.train) + at.step) * recipe.batch_size)
    while at.phase < len(plan):
        kept = kept_share(recipe.ema_half_life_epochs, len(loaders.train))
        learner = Learner(model, recipe, plan[at.phase], objective=objective, device=device, average_kept=kept)
        if saved:
            learner.load_state(saved["learner"])
            learner.load_own_state(saved["ranks"][rank()]["buffers"])
            at.loss = saved["ranks"][rank()]["loss"]
            _set_random_state(saved["ranks"][rank()]["random"])
            saved = None
        elif checkpoints and checkpoints.due(0):  # what came before this phase took long
            _keep(checkpoints, learner, at, [])
        while at.epoch < learner.phase.epochs and (at.step or not _time_is_up(learner, at)):
            _epoch(learner, loaders, at, meter=meter, checkpoints=checkpoints)
            n_epochs = sum(phase.epochs for phase in plan)
            if is_logged(len(at.curves), n_epochs):
                log.info("epoch %d/%d: %s", len(at.curves), n_epochs, _in_words(at.curves[-1]))
            if tell:
                tell(at.curves[-1].epoch, asdict(at.curves[-1]))
            if out_of_patience([epoch.val_loss for epoch in at.curves[-at.epoch :]], recipe.patience):
                log.info("stopping: %d epochs without a lower validation loss", recipe.patience)
                break
        at.phase, at.epoch, at.spent_s = at.phase + 1, 0, 0.0
    return Trained(at.curves, best(at.curves), at.best_state)


def _epoch(learner: Learner, loaders: Loaders, at: Standing, *, meter: Meter, checkpoints: Checkpoints | None) -> None:
    """Train the epoch that stands at `at`, or the rest of it, validate, and bring `at` to the next one."""
    learner.begin_epoch()
    _grow(learner, loaders, at)
    losses = Losses(learner.device, loaders.train.image_ids, at.loss)
    number, budget_s, stopwatch = len(at.curves), learner.phase.budget_s or math.inf, Stopwatch()
    top1 = f", validation top-1 {100 * at.curves[-1].val_top1:.1f} %" if at.curves else ""
    for batch in meter.waited_for(fed(_batches(loaders.train, number, at.step), learner.device)):
        if _time_is_up(learner, at):
            break
        at.rate = _rate(learner, loaders, at)
        with_remedy(partial(learner.update, rate=at.rate, before=losses.add), batch)
        at.step += 1
        if learner.phase.budget_s:
            at.spent_s += stopwatch.lap()
        note = f"epoch {number + 1}, step {at.step}/{len(loaders.train)}, loss {losses.so_far:.3f}{top1}"
        meter.step(len(batch.labels_B) * world(), note, budget_s - at.spent_s)
        if checkpoints and checkpoints.due(at.step):
            _keep(checkpoints, learner, at, losses.state())
            stopwatch.restart()
    with named_in_validation():
        learner.end_epoch(_batches(loaders.train, number, 0))
        val_loss, val_top1 = validate(learner.judged, loaders.val, learner.device)
    at.curves.append(Epoch(number + 1, losses.mean(), val_loss, val_top1, at.rate))
    if at.curves[-1] is best(at.curves):
        weights = learner.judged.network.state_dict()
        at.best_state = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
    at.epoch, at.step, at.loss = at.epoch + 1, 0, []


def _keep(checkpoints: Checkpoints, learner: Learner, at: Standing, loss: list[float]) -> None:
    """Save where the run stands, with the losses of this epoch. Raises Interrupted when told to stop."""
    own = {"loss": loss, "buffers": learner.own_state(), "random": _random_state()}
    checkpoints.save({"at": at.as_state(), "learner": learner.state(), "ranks": gathered(own)})
    checkpoints.stop_if_told()


def _rate(learner: Learner, loaders: Loaders, at: Standing) -> float:
    """The learning rate of the step that comes."""
    phase, recipe, n_steps = learner.phase, learner.recipe, learner.phase.epochs * len(loaders.train)
    done = at.epoch * len(loaders.train) + at.step
    step = step_by_time(done, n_steps, spent_s=at.spent_s, budget_s=phase.budget_s)
    peak = phase.peak_learning_rate
    return learning_rate(step, n_steps, peak=peak, schedule=recipe.schedule, warm_up=recipe.warm_up)


def _time_is_up(learner: Learner, at: Standing) -> bool:
    return 0 < learner.phase.budget_s <= at.spent_s


def _grow(learner: Learner, loaders: Loaders, at: Standing) -> None:
    """Let growing pictures follow the time: an epoch has the size that is due when it begins, a probe's the first."""
    phase = learner.phase
    if at.step == 0:
        due = step_by_time(at.epoch, phase.epochs, spent_s=at.spent_s, budget_s=phase.budget_s)
        at.ahead = due - at.epoch
    if isinstance(loaders.train, ResizingLoader):
        loaders.train.due = 0 if phase.head_only else at.epoch + at.ahead


def validate(model: Classifier, loader: BatchLoader, device: torch.device) -> tuple[float, float]:
    """Mean loss in nats (no smoothing) and top-1 (0..1) over every image of all processes' loaders."""
    loss, right, images = 0.0, 0, 0
    for scored in score(model, loader, device):
        labels_B = scored.batch.labels_B.cpu()
        loss += F.cross_entropy(scored.logits_BK, labels_B, reduction="sum").item()
        right += int((scored.logits_BK.argmax(1) == labels_B).sum())
        images += len(labels_B)
    all_loss, all_right, all_images = sums([loss, right, images])
    return all_loss / all_images, all_right / all_images


def best(curves: list[Epoch]) -> Epoch:
    """The first epoch with the lowest validation loss.

    Not the highest top-1: on 182 pictures one picture is half a percent, and luck would choose an early epoch.
    """
    return min(curves, key=lambda epoch: epoch.val_loss)


def doubt(curves: list[Epoch], n_val: int) -> str:
    """What speaks against the epoch that is kept: a later one that was right clearly more often; "" for nothing."""
    kept, highest = best(curves), max(curves, key=lambda epoch: epoch.val_top1)
    error = math.sqrt(0.5 / n_val)  # of a difference of two shares, at most
    if highest.epoch <= kept.epoch or highest.val_top1 - kept.val_top1 < 2 * error:
        return ""
    return (
        f"epoch {highest.epoch} was right more often ({100 * highest.val_top1:.2f} %), with a higher validation loss: "
        "the network is too sure of itself. Try a lower train.peak_learning_rate, starting weights or more pictures"
    )


def _batches(loader: BatchLoader, epoch: int, start: int) -> Iterator[Batch]:
    """The batches of an epoch from `start` on, with our number of threads: ffcv sets its own at each start."""
    threads = torch.get_num_threads()
    for batch in loader.epoch(epoch, start):
        torch.set_num_threads(threads)
        yield batch


def is_logged(epoch: int, n_epochs: int) -> bool:
    """Whether an epoch (from 1) gets a line of its own: every one, or of many some fifty, and the last."""
    return epoch % -(-n_epochs // MOST_LINES) == 0 or epoch == n_epochs


def _in_words(epoch: Epoch) -> str:
    losses = f"training loss {epoch.train_loss:.4f}, validation loss {epoch.val_loss:.4f}"
    return f"{losses}, top-1 {100 * epoch.val_top1:.2f} %"


def _random_state() -> list[torch.Tensor]:
    """Torch's, of the CPU and of our CUDA device: dropout draws from it."""
    on_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if on_gpu else [])]


def _set_random_state(states: list[torch.Tensor]) -> None:
    torch.set_rng_state(states[0])
    for state in states[1:]:
        torch.cuda.set_rng_state(state)
