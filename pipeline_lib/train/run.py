"""train: betons + selection -> weights, curves, validation."""

from __future__ import annotations

import json
import logging
import tempfile
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from pipeline_lib.files.atomic import atomic_file, atomic_folder, write_text
from pipeline_lib.harness.progress import Meter
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.harness.tracking import Tell, open_trackers
from pipeline_lib.loader import BatchLoader
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.device import choose_device, computed_on
from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.networks.saved_weights import put_weights, save_weights
from pipeline_lib.train.batch_norm import MOST_IMAGES, FitOfStatistics, check_statistics
from pipeline_lib.train.checkpoint import Checkpoints, inputs_key, place_for, stop_signals
from pipeline_lib.train.cost import span, training_s, try_step
from pipeline_lib.train.curves import Trained, best_of, doubt
from pipeline_lib.train.distributed import process_group, rank, train_in_processes, world
from pipeline_lib.train.inputs import Selected, TrainingInputs, read_inputs, read_selected
from pipeline_lib.train.learner import phases
from pipeline_lib.train.linear_probe import whiten_and_probe
from pipeline_lib.train.loaders import open_images, open_training_views
from pipeline_lib.train.loop import Loaders, train
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.params import TrainParams
from pipeline_lib.train.preflight import check_batch
from pipeline_lib.train.recipes import Recipe
from pipeline_lib.train.rendezvous import OtherNode, check_nodes, first_node
from pipeline_lib.train.self_training import as_many_steps, counted_on, guess_labels

log = logging.getLogger(__name__)


def run(job: StageRun[TrainParams]) -> None:
    """Train on the training rows of the selection; write the weights that validate best, their scores, and the curves.

    A run that was stopped continues from its checkpoint, and writes what an undisturbed one writes. Raises BadData when
    there is nothing to train or validate on, ConfigError when the parameters do not fit, Interrupted after SIGTERM.
    """
    params = job.params
    selected = read_selected(job)
    check_nodes(params.processes, job.settings.train_nodes)
    device = _choose_device(job)
    key = inputs_key(job, device)
    places = job.settings.state_folder(job.checkout) / "checkpoints"
    with place_for(places, key, keep_days=job.settings.memo_days) as folder:
        if params.processes == 1:
            _train(job, selected, folder, device)
            return
        with first_node(
            job.settings.train_rendezvous, nodes=job.settings.train_nodes, key=key
        ) as node:
            train_in_processes(_train_as_one_of_them, job, folder, node=node)


def join(job: StageRun[TrainParams]) -> None:
    """Run this node's share of a stage's processes; writes none of its outputs.

    Raises what ended the training on the first node, or what kept the nodes from meeting.
    """
    device = _choose_device(job)
    node = OtherNode(job.settings.train_rendezvous, partial(inputs_key, job, device))
    with tempfile.TemporaryDirectory() as folder:
        train_in_processes(_train_as_one_of_them, job, Path(folder), node=node)


def _train_as_one_of_them(job: StageRun[TrainParams], folder: Path) -> None:
    device = _choose_device(job)
    with process_group(device):
        _train(job, read_selected(job), folder, device)


def _choose_device(job: StageRun[TrainParams]) -> torch.device:
    return choose_device(job.settings.device, threads=job.params.threads, seed=job.params.seed)


def _train(
    job: StageRun[TrainParams], selected: Selected, folder: Path, device: torch.device
) -> None:
    """What each process does; rank 0 writes files and tells trackers. folder: of the checkpoints, named by the key."""
    inputs = read_inputs(job, selected, device)
    recipe: Recipe = inputs.params
    with (
        closing(open_images(job, selected.val, recipe, device=device)) as val,
        stop_signals() as stop_requested,
        _trackers(inputs, folder.name) as tell,
    ):
        checkpoints = Checkpoints(
            folder, every_s=job.settings.checkpoint_every_s, stop_requested=stop_requested
        )

        # Every round has the same time.
        n_rounds = 1
        if len(selected.unlabelled):
            n_rounds += recipe.self_training_rounds
        recipe = recipe.changed(budget_minutes=recipe.budget_minutes / n_rounds)

        # The first round learns from the labels alone, each later one also from what the best model so far guesses.
        rounds = [
            _learn(
                inputs,
                selected.train,
                recipe,
                val=val,
                tell=tell,
                checkpoints=checkpoints,
            )
        ]
        for number in range(1, n_rounds):
            rows = guess_labels(inputs, best_of(rounds))
            shorter = as_many_steps(recipe, n_labelled=len(selected.train), n_all=len(rows))
            n_epochs_before = sum(len(trained.curves) for trained in rounds)
            trained = _learn(
                inputs,
                rows,
                shorter,
                val=val,
                tell=counted_on(tell, n_epochs_before),
                checkpoints=checkpoints.of_round(number),
            )
            rounds.append(trained)
        if rank() == 0:
            _write(inputs, best_of(rounds))


def _trackers(inputs: TrainingInputs, key: str) -> AbstractContextManager[Tell]:
    """Open the trackers, which are told of each epoch by rank 0."""
    if rank():
        return nullcontext(lambda epoch, metrics: None)
    name = f"{inputs.params.network}-{key[:8]}".replace(":", "-")
    return open_trackers(
        name, inputs.params.as_record(), settings=inputs.job.settings, checkout=inputs.job.checkout
    )


def _learn(
    inputs: TrainingInputs,
    rows: pd.DataFrame,
    recipe: Recipe,
    *,
    val: BatchLoader,
    tell: Tell,
    checkpoints: Checkpoints,
) -> Trained:
    """Train a fresh model on these rows."""
    job = inputs.job
    torch.manual_seed(inputs.params.seed)
    model = inputs.starting_model()
    check_batch(model.network, recipe, n_images=len(rows), processes=world())

    # What a checkpoint holds has been whitened and probed already.
    objective = inputs.objective(recipe, rows)
    saved = checkpoints.load()
    if saved is None:
        _tell_cost(inputs, model, recipe, objective, n_train=len(rows))
    start = whiten_and_probe(
        model,
        recipe,
        objective=objective,
        open_still=partial(open_images, job, rows, recipe, share=False),
        device=inputs.device,
        is_done=saved is not None,
    )
    recipe = start.recipe

    # Dropout differs among processes; rank 0 draws as a process alone does.
    if rank():
        torch.manual_seed(inputs.params.seed + (rank() << 32))

    with closing(open_training_views(job, rows, recipe, inputs.device)) as loader:
        log.info(
            "%s on %s, %s loader, %d images", recipe.network, inputs.device, loader.kind, len(rows)
        )
        n_epochs = sum(phase.epochs for phase in phases(recipe))
        n_images = n_epochs * len(loader) * min(recipe.batch_size, len(rows))
        return train(
            model,
            recipe,
            objective=objective,
            loaders=Loaders(train=loader, val=val),
            device=inputs.device,
            meter=Meter("train", "images", n_images, job.settings.progress_every_s),
            checkpoints=checkpoints,
            saved=saved,
            probe=start.probe,
            tell=tell,
        )


def _tell_cost(
    inputs: TrainingInputs,
    model: Classifier,
    recipe: Recipe,
    objective: Objective,
    *,
    n_train: int,
) -> None:
    """Log how long the training will take, from a trial. Only for one process on a CPU: a GPU's first steps mislead."""
    if inputs.device.type != "cpu" or world() > 1:
        return
    n_val = len(inputs.selected.val)
    cost = try_step(model, recipe, objective=objective, device=inputs.device)
    seconds = training_s(recipe, cost, n_train=n_train, n_val=n_val)
    work = "the head alone"
    if recipe.epochs:
        work = f"{recipe.epochs} epochs of {n_train} images at {1000 * cost.step_s:.1f} ms each"
    answers = f"an answer takes {1000 * cost.look_s:.1f} ms (tried now)"
    log.info("training will take about %s: %s; %s", span(seconds), work, answers)


def _write(inputs: TrainingInputs, trained: Trained) -> None:
    """Write weights, curves and validation scores, and log what speaks against the model."""
    job = inputs.job
    model = inputs.model_to_fill()
    put_weights(model.network, trained.state)
    with atomic_folder(job.writes["weights"]) as folder:
        save_weights(model.network, folder)
        _describe(inputs, model, trained).write(folder)
    with atomic_file(job.writes["curves"]) as file:
        pd.DataFrame([asdict(epoch) for epoch in trained.curves]).to_csv(file, index=False)

    # Look back: does it evaluate as it trained?
    kept = trained.best
    fit = _check_statistics(inputs, model)
    scores = {
        "epoch": kept.epoch,
        "val_loss": kept.val_loss,
        "val_top1": kept.val_top1,
        **fit.as_record(),
    }
    write_text(job.writes["validation"], json.dumps(scores, indent=1) + "\n")
    said = f"validation top-1 {kept.val_top1:.2%}, on its own training images {fit.top1:.2%}"
    log.info("kept epoch %d: %s", kept.epoch, said)
    for reason in (doubt(trained.curves, len(inputs.selected.val)), fit.doubt):
        if reason:
            log.warning(reason)


def _describe(inputs: TrainingInputs, model: Classifier, trained: Trained) -> ModelFile:
    mean, std = model.mean_and_std
    pixels = (inputs.job.reads["betons"] / "pixels.json").read_text(encoding="utf-8")
    return ModelFile(
        network=inputs.params.network,
        classes=tuple(inputs.classes["class_id"]),
        names=tuple(inputs.classes["name"]),
        side_px=inputs.params.side_px,
        mean=mean,
        std=std,
        pixels=json.loads(pixels),
        recipe=inputs.params.as_record(),
        parent=inputs.parent(),
        trained_on=computed_on(inputs.device),
        epoch=trained.best.epoch,
    )


def _check_statistics(inputs: TrainingInputs, model: Classifier) -> FitOfStatistics:
    """Show the kept network up to 1,024 of its training images, drawn by the training's seed, in whole batches."""
    params = inputs.params
    rows = inputs.selected.train
    batch_size = min(params.batch_size, len(rows))
    n_batches = max(min(MOST_IMAGES, len(rows)) // batch_size, 1)
    drawn = rows.sample(n_batches * batch_size, random_state=params.seed)
    with closing(open_images(inputs.job, drawn, params, share=False)) as loader:
        return check_statistics(model, loader, inputs.device, is_frozen=params.freeze_batch_norm)
