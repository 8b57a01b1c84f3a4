"""The images of a training from the betons: as it trains on them, or as evaluation sees them."""

from __future__ import annotations

import logging
from dataclasses import fields
from functools import partial

import pandas as pd
import torch

from pipeline_lib.harness.stage import StageRun
from pipeline_lib.loader import Augmentation, BatchLoader, open_loader
from pipeline_lib.train.ranks import on_this_machine, rank, world
from pipeline_lib.train.recipes import Recipe
from pipeline_lib.train.resizing import ResizingLoader

log = logging.getLogger(__name__)


def open_growing(job: StageRun, rows: pd.DataFrame, recipe: Recipe, device: torch.device) -> BatchLoader:
    """Training views, of one size or of several."""
    sides_E = recipe.training_sides()
    open_at = partial(open_images, job, rows, recipe, training=True, device=device)
    if len(set(sides_E)) == 1:
        return open_at(side_px=sides_E[0])
    log.info("training pictures of %d px, at last %d px", sides_E[0], sides_E[-1])
    return ResizingLoader(sides_E, lambda side_px: open_at(side_px=side_px))


def open_images(
    job: StageRun,
    rows: pd.DataFrame,
    recipe: Recipe,
    *,
    training: bool = False,
    side_px: int | None = None,
    share: bool = True,
    device: torch.device | None = None,
) -> BatchLoader:
    """share: each process gets its part of every batch, else all of it. device: where pictures may stay."""
    n_processes = world() if share else 1
    own = vars(recipe)
    augmentation = Augmentation(**{field.name: own[field.name] for field in fields(Augmentation) if field.name in own})
    return open_loader(
        job.reads["betons"],
        rows,
        batch_size=max(1, min(recipe.batch_size, len(rows)) // n_processes),
        side_px=side_px or recipe.side_px,
        augmentation=augmentation if training else None,
        shuffle=training,
        seed=job.params.seed,
        drop_last=training,  # a last batch of one would break batch normalisation
        kind="ffcv" if training and job.params.views == "ffcv" else job.settings.loader,
        workers=max(1, job.settings.worker_count() // on_this_machine()),
        sampling=recipe.sampling if training else "as_is",
        rank=rank() if share else 0,
        world=n_processes,
        device=device,
    )
