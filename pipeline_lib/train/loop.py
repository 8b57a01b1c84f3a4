"""The training loop: through the phases of a recipe, epoch by epoch, to the weights that validate best.

A run can stop after any step and continue from its checkpoint as if nothing had happened: on a CPU, bit for bit. So
whatever the next step depends on must be in one of these places, and nowhere else:

- `Learner.state` and `load_state`: weights, moving average, optimiser, and what else an update changes;
- `LoopState`, here: how far the run is, the curves, the best weights, the losses of this epoch;
- torch's own random state, saved beside them. Another generator belongs into `Learner.state`;
- `Learner.buffers_state`: what differs among processes that train together;
- a function of the step or of the curves, as the learning rate is: nothing to save. Early stopping reads `curves`.

Several processes run this same loop (distributed.py), each with its share of every batch. They must all make the same
collective calls; writing and logging is for rank 0.
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
from pipeline_lib.train.checkpoint import Checkpoints, random_state, set_random_state
from pipeline_lib.train.curves import Epoch, Trained, best, report
from pipeline_lib.train.distributed import Stopwatch, gather_objects, rank, sum_over_ranks, world
from pipeline_lib.train.learner import Learner, Phase, phases
from pipeline_lib.train.linear_probe import Probe
from pipeline_lib.train.loaders import ResizingLoader, copied_ahead
from pipeline_lib.train.loss import EpochLoss, Objective
from pipeline_lib.train.out_of_memory import named_in_validation, with_remedy
from pipeline_lib.train.recipes import Recipe
from pipeline_lib.train.schedule import ema_decay, learning_rate, out_of_patience, step_by_time

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaders:
    """Training views in keyed order, and the evaluation views of the validation split."""

    train: BatchLoader
    val: BatchLoader


@dataclass
class LoopState:
    """How far a run has come: `step` steps of epoch `epoch` of phase `phase` are done, all counted from 0.

    curves: of all phases. best_state: on the CPU. rate: of the last step. spent_s: of the phase's time, where that is
    limited. ahead: epochs by which the size of the images is ahead. loss: `EpochLoss.state` of an unfinished epoch.
    """

    phase: int = 0
    epoch: int = 0
    step: int = 0
    curves: list[Epoch] = field(default_factory=list)
    best_state: dict[str, torch.Tensor] = field(default_factory=dict)
    rate: float = 0.0
    spent_s: float = 0.0
    ahead: int = 0
    loss: list[float] = field(default_factory=list)

    def as_record(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {**vars(self), "curves": [asdict(epoch) for epoch in self.curves]}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> LoopState:
        """What `as_record` gave."""
        return cls(**{**record, "curves": [Epoch(**row) for row in record["curves"]]})

    @property
    def n_epochs(self) -> int:
        """The epochs that are done, of all phases: a probe on features counts as epoch 0."""
        return self.curves[-1].epoch if self.curves else 0

    def start_next_epoch(self) -> None:
        """The epoch is over."""
        self.epoch += 1
        self.step = 0
        self.loss = []

    def start_next_phase(self) -> None:
        """The phase is over."""
        self.phase += 1
        self.epoch = 0
        self.spent_s = 0.0


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
    probe: Probe | None = None,
    tell: Tell | None = None,
) -> Trained:
    """Train `model` in place through the recipe's phases; keep the epoch with the lowest validation loss.

    probe: how a head was trained before; that model is validated as epoch 0, and kept if nothing later is better.
    saved: a checkpoint to continue from. tell: called with each epoch's metrics. Raises ConfigError when the loss stops
    being finite or memory runs out, Interrupted after SIGTERM, when all is saved.
    """
    plan = phases(recipe)
    n_epochs = sum(phase.epochs for phase in plan)
    at = LoopState()
    if saved:
        at = LoopState.of_record(saved["at"])
        _skip_done(at, plan, meter, recipe.batch_size, n_steps=len(loaders.train))
    elif probe:
        _validate_probe(model, probe, loaders.val, at, device=device, tell=tell)

    while at.phase < len(plan):
        decay = ema_decay(recipe.ema_half_life_epochs, len(loaders.train))
        learner = Learner(
            model,
            recipe,
            plan[at.phase],
            objective=objective,
            device=device,
            average_decay=decay,
        )

        # Continue in the middle of a phase, or save where what came before this phase took long.
        if saved:
            _restore(learner, at, saved)
            saved = None
        elif checkpoints and checkpoints.due(0):
            _save(checkpoints, learner, at, [])

        while at.epoch < learner.phase.epochs and (at.step or not _time_is_up(learner, at)):
            _epoch(learner, loaders, at, meter=meter, checkpoints=checkpoints)
            report(at.curves[-1], n_epochs, tell)
            # Patience counts the epochs of this phase alone.
            val_losses = [epoch.val_loss for epoch in at.curves[-at.epoch :]]
            if out_of_patience(val_losses, recipe.patience):
                log.info("stopping: %d epochs without a lower validation loss", recipe.patience)
                break
        at.start_next_phase()
    return Trained(
        curves=at.curves,
        best=best(at.curves),
        state=at.best_state,
    )


def _epoch(
    learner: Learner,
    loaders: Loaders,
    at: LoopState,
    *,
    meter: Meter,
    checkpoints: Checkpoints | None,
) -> None:
    """Train the epoch that stands at `at`, or the rest of it, validate, and move `at` to the next one."""
    learner.begin_epoch()
    _resize(learner, loaders, at)
    number = at.n_epochs
    losses = EpochLoss(learner.device, loaders.train.image_ids, at.loss)
    stopwatch = Stopwatch()

    # The training steps.
    batches = copied_ahead(_batches(loaders.train, number, at.step), learner.device)
    for batch in meter.waited_for(batches):
        if _time_is_up(learner, at):
            break
        at.rate = _rate(learner, loaders, at)
        with_remedy(partial(learner.update, rate=at.rate, before=losses.add), batch)
        at.step += 1
        # Only a limited phase has to agree on the time, which costs a message between processes.
        if learner.phase.budget_s:
            at.spent_s += stopwatch.lap()
        _show(
            meter,
            learner,
            at,
            n_images=len(batch.labels_B) * world(),
            n_steps=len(loaders.train),
            losses=losses,
        )
        if checkpoints and checkpoints.due(at.step):
            _save(checkpoints, learner, at, losses.state())
            stopwatch.restart()

    # Validation, and the weights if they are the best so far.
    with named_in_validation():
        learner.end_epoch(_batches(loaders.train, number, 0))
        val_loss, val_top1 = validate(learner.evaluated, loaders.val, learner.device)
    epoch = Epoch(
        epoch=number + 1,
        train_loss=losses.mean(),
        val_loss=val_loss,
        val_top1=val_top1,
        learning_rate=at.rate,
    )
    _keep_if_best(at, epoch, learner.evaluated)
    at.start_next_epoch()


def _validate_probe(
    model: Classifier,
    probe: Probe,
    val: BatchLoader,
    at: LoopState,
    *,
    device: torch.device,
    tell: Tell | None,
) -> None:
    """Add the model with the probed head to the curves, as epoch 0."""
    with named_in_validation():
        val_loss, val_top1 = validate(model, val, device)
    epoch = Epoch(
        epoch=0,
        train_loss=probe.train_loss,
        val_loss=val_loss,
        val_top1=val_top1,
        learning_rate=0.0,
    )
    _keep_if_best(at, epoch, model)
    report(epoch, 0, tell)


def _keep_if_best(at: LoopState, epoch: Epoch, model: Classifier) -> None:
    """Add an epoch to the curves, and keep its weights where none validated better before."""
    at.curves.append(epoch)
    # Copied to the CPU: the next step changes the weights in place.
    if epoch is best(at.curves):
        weights = model.network.state_dict()
        at.best_state = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}


def _show(
    meter: Meter,
    learner: Learner,
    at: LoopState,
    *,
    n_images: int,
    n_steps: int,
    losses: EpochLoss,
) -> None:
    """One line of progress with the loss so far and the last validation."""
    note = f"epoch {at.n_epochs + 1}, step {at.step}/{n_steps}, loss {losses.so_far:.3f}"
    if at.curves:
        note += f", validation top-1 {100 * at.curves[-1].val_top1:.1f} %"
    budget_s = learner.phase.budget_s or math.inf
    meter.step(n_images, note, budget_s - at.spent_s)


def _save(checkpoints: Checkpoints, learner: Learner, at: LoopState, loss: list[float]) -> None:
    """Save the state of the run, with the losses of this epoch. Raises Interrupted when a stop was requested."""
    # What differs among the processes is gathered in rank 0, which writes.
    own = {"loss": loss, "buffers": learner.buffers_state(), "random": random_state()}
    ranks = gather_objects(own)
    checkpoints.save({"at": at.as_record(), "learner": learner.state(), "ranks": ranks})
    checkpoints.stop_if_requested()


def _restore(learner: Learner, at: LoopState, saved: Mapping[str, Any]) -> None:
    """Bring learner, losses and random state to what `_save` saved."""
    own = saved["ranks"][rank()]
    learner.load_state(saved["learner"])
    learner.load_buffers_state(own["buffers"])
    at.loss = own["loss"]
    set_random_state(own["random"])


def _skip_done(
    at: LoopState,
    plan: list[Phase],
    meter: Meter,
    batch_size: int,
    *,
    n_steps: int,
) -> None:
    """Show what a checkpoint had done as done. n_steps: of an epoch."""
    n_epochs = sum(phase.epochs for phase in plan[: at.phase]) + at.epoch
    log.info("going on from the checkpoint: %d epochs and %d steps are done", n_epochs, at.step)
    meter.skip((n_epochs * n_steps + at.step) * batch_size)


def _rate(learner: Learner, loaders: Loaders, at: LoopState) -> float:
    """The learning rate of the next step."""
    phase = learner.phase
    recipe = learner.recipe
    n_steps = phase.epochs * len(loaders.train)
    n_done = at.epoch * len(loaders.train) + at.step
    # With a budget, the schedule may be further than the steps.
    step = step_by_time(n_done, n_steps, spent_s=at.spent_s, budget_s=phase.budget_s)
    return learning_rate(
        step,
        n_steps,
        peak=phase.peak_learning_rate,
        schedule=recipe.schedule,
        warm_up=recipe.warm_up,
    )


def _time_is_up(learner: Learner, at: LoopState) -> bool:
    return 0 < learner.phase.budget_s <= at.spent_s


def _resize(learner: Learner, loaders: Loaders, at: LoopState) -> None:
    """Let the size of the images follow the time: an epoch has the size due when it begins, a probe the first size."""
    phase = learner.phase
    if at.step == 0:
        due = step_by_time(at.epoch, phase.epochs, spent_s=at.spent_s, budget_s=phase.budget_s)
        at.ahead = due - at.epoch
    if isinstance(loaders.train, ResizingLoader):
        loaders.train.due = 0 if phase.head_only else at.epoch + at.ahead


def validate(model: Classifier, loader: BatchLoader, device: torch.device) -> tuple[float, float]:
    """Mean loss in nats (no smoothing) and top-1 (0..1) over every image of all processes' loaders."""
    loss = 0.0
    n_right = 0
    n_images = 0
    for scored in score(model, loader, device):
        labels_B = scored.batch.labels_B.cpu()
        loss += F.cross_entropy(scored.logits_BK, labels_B, reduction="sum").item()
        n_right += int((scored.logits_BK.argmax(1) == labels_B).sum())
        n_images += len(labels_B)
    # Every process has its share of the images, and none is counted twice.
    all_loss, all_right, all_images = sum_over_ranks([loss, n_right, n_images])
    return all_loss / all_images, all_right / all_images


def _batches(loader: BatchLoader, epoch: int, start: int) -> Iterator[Batch]:
    """The batches of an epoch from `start` on, with our number of threads: ffcv sets its own at each start."""
    threads = torch.get_num_threads()
    for batch in loader.epoch(epoch, start):
        torch.set_num_threads(threads)
        yield batch
