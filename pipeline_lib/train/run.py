"""train: betons + selection -> weights, curves, validation."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import cast

import pandas as pd
import torch

from pipeline_lib.errors import BadData
from pipeline_lib.files.atomic import atomic_file, atomic_folder, write_text
from pipeline_lib.harness.progress import Meter
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.harness.tracking import Tell, open_trackers
from pipeline_lib.loader import BatchLoader
from pipeline_lib.networks.build import build_network, check_side, normalisation
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.device import computed_on, open_device
from pipeline_lib.networks.infer import score
from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.networks.weights import put_weights, save_weights
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.tables.unlabelled import UNLABELLED
from pipeline_lib.train.aims import Aims, read_aims
from pipeline_lib.train.checkpoint import Checkpoints, inputs_key, place_for, told_to_stop
from pipeline_lib.train.launch import train_in_processes
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.least_batch import check_part
from pipeline_lib.train.loop import Loaders, Trained, doubt, train
from pipeline_lib.train.meeting import OtherNode, check_nodes, first_node
from pipeline_lib.train.open_images import open_growing, open_images
from pipeline_lib.train.own_images import MOST_IMAGES, OwnImages, ask_about_own_images
from pipeline_lib.train.params import TrainParams
from pipeline_lib.train.probe import prepare
from pipeline_lib.train.ranks import given_by_rank_0, joined, rank, world
from pipeline_lib.train.recipes import Recipe
from pipeline_lib.train.self_training import as_many_steps, best_of, with_guessed
from pipeline_lib.train.starting_weights import give_starting_weights
from pipeline_lib.train.try_rates import STEPS, Tried, try_rates

log = logging.getLogger(__name__)


def run(job: StageRun) -> None:
    """Train on the training rows of the selection; write the weights that validate best, their scores, and the curves.

    A run that was stopped goes on from its checkpoint, and writes what an undisturbed one writes. Raises BadData when
    there is nothing to train or validate on, ConfigError when the parameters do not fit, Interrupted after SIGTERM.
    """
    params: TrainParams = job.params
    train_rows, _ = _read_rows(job, "train", least=2), _read_rows(job, "val", least=1)
    if train_rows["label"].nunique() < 2:
        remedy = "give the source a second class; one class leaves nothing to learn"
        raise BadData(
            "the training pictures are all of one class", file=job.reads["selection"] / "train.parquet", remedy=remedy
        )
    check_nodes(params.processes, job.settings.train_nodes)
    device = open_device(job.settings.device, threads=params.threads, seed=params.seed)
    places, key = job.settings.state_folder(job.checkout) / "checkpoints", inputs_key(job, device)
    with place_for(places, key, keep_days=job.settings.memo_days) as folder:
        if params.processes > 1:
            with first_node(job.settings.train_rendezvous, nodes=job.settings.train_nodes, key=key) as node:
                train_in_processes(_train_as_one_of_them, job, folder, node=node)
        else:
            _train(job, folder, device)


def join(job: StageRun) -> None:
    """Run this node's share of a stage's processes, write none of its outputs. Raises what ended that, or `meet`."""
    device = open_device(job.settings.device, threads=job.params.threads, seed=job.params.seed)
    node = OtherNode(job.settings.train_rendezvous, partial(inputs_key, job, device))
    with tempfile.TemporaryDirectory() as folder:
        train_in_processes(_train_as_one_of_them, job, Path(folder), node=node)


def _train_as_one_of_them(job: StageRun, folder: Path) -> None:
    device = open_device(job.settings.device, threads=job.params.threads, seed=job.params.seed)
    with joined(device):
        _train(job, folder, device)


def _train(job: StageRun, folder: Path, device: torch.device) -> None:
    """What each process does; rank 0 writes and tells. folder: of the checkpoints, named by the training's key."""
    params: TrainParams = job.params
    recipe, aims = params.resolved(), read_aims(job, read_classes(job.reads["classes"]), device)
    train_rows, val_rows = _read_rows(job, "train", least=2), _read_rows(job, "val", least=1)
    with (
        closing(open_images(job, val_rows, recipe, device=device)) as val,
        told_to_stop() as told,
        _trackers(job, recipe, folder.name) as tell,
    ):
        checkpoints = Checkpoints(folder, every_s=job.settings.checkpoint_every_s, told=told)
        unlabelled = UNLABELLED.read(job.reads["selection"] / "unlabelled.parquet")
        n_rounds = 1 + (recipe.self_training_rounds if len(unlabelled) else 0)
        recipe = replace(recipe, budget_minutes=recipe.budget_minutes / n_rounds)
        rounds = [_learn(job, train_rows, recipe, aims, val=val, tell=tell, checkpoints=checkpoints)]
        for number in range(1, n_rounds):
            rows = _with_guessed(job, train_rows, unlabelled, best_of(rounds), aims)
            shorter = as_many_steps(recipe, n_labelled=len(train_rows), n_all=len(rows))
            later = _counted_on(tell, sum(len(trained.curves) for trained in rounds))
            own = checkpoints.of_round(number)
            rounds.append(_learn(job, rows, shorter, aims, val=val, tell=later, checkpoints=own))
        if rank() == 0:
            _write(job, best_of(rounds), aims, train_rows)


def _trackers(job: StageRun, recipe: Recipe, key: str) -> AbstractContextManager[Tell]:
    """What tells trackers of each epoch; only rank 0 has something to tell."""
    if rank():
        return nullcontext(lambda epoch, figures: None)
    name = f"{recipe.network}-{key[:8]}".replace(":", "-")
    return open_trackers(name, job.params.as_record(), settings=job.settings, checkout=job.checkout)


def _learn(
    job: StageRun,
    rows: pd.DataFrame,
    recipe: Recipe,
    aims: Aims,
    *,
    val: BatchLoader,
    tell: Tell,
    checkpoints: Checkpoints,
) -> Trained:
    """Train a fresh model on these rows."""
    torch.manual_seed(job.params.seed)
    model, _ = _build(job, aims)
    check_part(model.network, recipe, n_images=len(rows), processes=world())
    objective = aims.objective(recipe, rows)
    open_still = partial(open_images, job, rows, recipe, share=False)
    saved = checkpoints.load()
    recipe = prepare(
        model, recipe, objective=objective, open_still=open_still, device=aims.device, is_done=saved is not None
    )
    if rank():
        torch.manual_seed(job.params.seed + (rank() << 32))  # own dropout in each process; rank 0 as one alone
    with closing(open_growing(job, rows, recipe, aims.device)) as loader:
        log.info("%s on %s, %s loader, %d pictures", recipe.network, aims.device, loader.kind, len(rows))
        n_images = sum(phase.epochs for phase in phases(recipe)) * len(loader) * min(recipe.batch_size, len(rows))
        return train(
            model,
            recipe,
            objective=objective,
            loaders=Loaders(train=loader, val=val),
            device=aims.device,
            meter=Meter("train", "images", n_images, job.settings.progress_every_s),
            checkpoints=checkpoints,
            saved=saved,
            tell=tell,
        )


def rates_of(job: StageRun) -> list[Tried]:
    """What a model loses at rates from low to high where training would begin; writes nothing. Raises as `run` does."""
    params: TrainParams = job.params
    recipe, rows = params.resolved(), _read_rows(job, "train", least=2)
    device = open_device(job.settings.device, threads=params.threads, seed=params.seed)
    aims = read_aims(job, read_classes(job.reads["classes"]), device)
    model, _ = _build(job, aims)
    objective, open_still = aims.objective(recipe, rows), partial(open_images, job, rows, recipe, share=False)
    recipe = prepare(model, recipe, objective=objective, open_still=open_still, device=device)
    learner = Learner(model, recipe, phases(recipe)[-1], objective=objective, device=device)
    with closing(open_growing(job, rows, recipe, device)) as loader:
        return try_rates(learner, chain.from_iterable(loader.epoch(number) for number in range(STEPS)))


def _counted_on(tell: Tell, n_before: int) -> Tell:
    """Tell trackers of the epochs of a further training as of later ones of the same."""

    def tell_later(epoch: int, figures: Mapping[str, float]) -> None:
        tell(n_before + epoch, {**figures, "epoch": n_before + epoch})

    return tell_later


def _with_guessed(
    job: StageRun, labelled: pd.DataFrame, unlabelled: pd.DataFrame, trained: Trained, aims: Aims
) -> pd.DataFrame:
    """The labelled rows and those without a label that the model so far is sure of."""
    recipe = job.params.resolved()
    model, _ = _build(job, aims)
    put_weights(model.network, trained.state)
    with closing(open_images(job, unlabelled.assign(label=0, weight=1.0), recipe, share=False)) as loader:
        batches = [scored.logits_BK.softmax(1) for scored in score(model, loader, aims.device)]
    rows = with_guessed(
        labelled,
        unlabelled["image_id"],
        torch.cat(batches).numpy(),
        list(aims.classes["class_id"]),
        confidence=recipe.pseudo_confidence,
    )
    return cast(pd.DataFrame, given_by_rank_0(rows))


def _build(job: StageRun, aims: Aims) -> tuple[Classifier, dict[str, str] | None]:
    """The model as training starts with it, and where its weights come from."""
    recipe: Recipe = job.params.resolved()
    network = build_network(recipe.network, n_classes=len(aims.classes), side_px=recipe.side_px, auxiliary=True)
    for side_px in {*recipe.training_sides()} - {recipe.side_px}:
        check_side(network, recipe.network, n_classes=len(aims.classes), side_px=side_px)
    parent = give_starting_weights(network, job)
    network.to(memory_format=torch.channels_last)  # as the pictures come: a fifth less time, also on a CPU
    mean, std = normalisation(network) or (recipe.mean, recipe.std)
    return Classifier(network, mean=mean, std=std, name=recipe.network).to(aims.device), parent


def _read_rows(job: StageRun, split: str, *, least: int) -> pd.DataFrame:
    path = job.reads["selection"] / f"{split}.parquet"
    rows = SELECTION.read(path)
    if len(rows) < least:
        remedy = "add pictures to the source, or see in line/curate/curation.json why they were left out"
        raise BadData(
            f"too few pictures to {'train' if split == 'train' else 'validate'} on",
            file=path,
            value=f"{len(rows)} rows",
            remedy=remedy,
        )
    return rows


def _write(job: StageRun, trained: Trained, aims: Aims, train_rows: pd.DataFrame) -> None:
    params: TrainParams = job.params
    recipe, (model, parent) = params.resolved(), _build(job, aims)
    if params.teacher_sha256:
        parent = {**(parent or {}), "teacher_sha256": params.teacher_sha256}
    about = ModelFile(
        network=recipe.network,
        classes=tuple(aims.classes["class_id"]),
        names=tuple(aims.classes["name"]),
        side_px=recipe.side_px,
        mean=model.mean_and_std[0],
        std=model.mean_and_std[1],
        pixels=json.loads((job.reads["betons"] / "pixels.json").read_text(encoding="utf-8")),
        recipe=params.as_record(),
        parent=parent,
        trained_on=computed_on(aims.device),
        epoch=trained.best.epoch,
    )
    put_weights(model.network, trained.state)
    with atomic_folder(job.writes["weights"]) as folder:
        save_weights(model.network, folder)
        about.write(folder)
    with atomic_file(job.writes["curves"]) as file:
        pd.DataFrame([asdict(epoch) for epoch in trained.curves]).to_csv(file, index=False)
    kept = {name: asdict(trained.best)[name] for name in ("epoch", "val_loss", "val_top1")}
    own = _ask_about_own_images(job, model, train_rows, aims.device)
    write_text(job.writes["validation"], json.dumps({**kept, **own.as_record()}, indent=1) + "\n")
    seen = f"validation top-1 {trained.best.val_top1:.2%}, on its own training images {own.top1:.2%}"
    log.info("kept epoch %d: %s", trained.best.epoch, seen)
    for said in (doubt(trained.curves, len(_read_rows(job, "val", least=1))), own.doubt):
        if said:
            log.warning(said)


def _ask_about_own_images(job: StageRun, model: Classifier, rows: pd.DataFrame, device: torch.device) -> OwnImages:
    """Show the kept network up to 1,024 of its training images, drawn by the training's seed, in whole batches."""
    recipe: Recipe = job.params.resolved()
    batch_size = min(recipe.batch_size, len(rows))
    n_images = max(min(MOST_IMAGES, len(rows)) // batch_size, 1) * batch_size
    drawn = rows.sample(n_images, random_state=job.params.seed)
    with closing(open_images(job, drawn, recipe, share=False)) as loader:
        return ask_about_own_images(model, loader, device, is_frozen=recipe.freeze_batch_norm)
