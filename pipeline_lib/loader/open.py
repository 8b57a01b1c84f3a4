"""Choose and open a loader."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path
from typing import Literal

import pandas as pd
import torch

from pipeline_lib.errors import BadData, ConfigError, DependencyMissing
from pipeline_lib.loader.augment import Augmentation
from pipeline_lib.loader.batches import BatchLoader
from pipeline_lib.loader.pictures import find_pictures
from pipeline_lib.loader.plan import Plan
from pipeline_lib.loader.resident_loader import ResidentLoader, as_evaluated, obstacle
from pipeline_lib.loader.sampling import Sampling
from pipeline_lib.loader.torch_loader import TorchLoader
from pipeline_lib.native.views import load

Kind = Literal["auto", "ffcv", "stock", "torchvision", "resident"]
log = logging.getLogger(__name__)


def open_loader(
    betons: Path,
    selection: pd.DataFrame,
    *,
    batch_size: int,
    side_px: int,
    augmentation: Augmentation | None,
    shuffle: bool,
    seed: int,
    drop_last: bool,
    kind: Kind,
    workers: int,
    device: torch.device | None = None,
    sampling: Sampling = "as_is",
    rank: int = 0,
    world: int = 1,
) -> BatchLoader:
    """Open the pictures of a selection (columns image_id, label, weight) for training or evaluation.

    betons: the folder that `convert` wrote. side_px: height and width of what comes out. augmentation: None shows the
    centred square. shuffle: an order keyed by (seed, epoch), else that of the selection. drop_last: leave out a last
    batch that is not full; evaluation must not. workers: decoding threads, whose number changes nothing.

    kind: `ffcv` (FFCV with our decoder), `torchvision` (libraries only; the same bytes, slower), `stock` (FFCV as it
    comes: the same order, other views), `resident` (the same bytes, decoded once and kept on `device`) or `auto`: on a
    GPU resident where it can be used, else ffcv where it can be used. Without a device `resident` is `auto`.

    sampling: `as_is` shows every picture once in an epoch; `balanced` draws as many with replacement, every class
    equally often, each visit with a view of its own. How much a picture counts in the loss is another matter: the
    column weight (curate.class_weights), which comes along in each batch. Both would favour rare classes twice.

    rank, world: this process's number among `world` processes that share the work. Process r gets the visits r,
    r + world, ... of each common batch of world * batch_size pictures, so together they see what one process with that
    batch size sees. With drop_last all have the same number of batches; without, every picture comes exactly once over
    all of them, nothing is padded, and some may have a batch less.

    Raises BadData (empty selection, less than one batch, a picture in no beton), OutputDamaged (a beton that is not
    whole), DependencyMissing (ffcv asked for and not usable), ConfigError (an augmentation that `stock` or `resident`
    does not have, or pictures that do not fit).
    """
    if len(selection) < (batch_size * world if drop_last else 1):
        batches = f"batches of {batch_size}" + (f" in each of {world} processes" if world > 1 else "")
        what, value = "too few pictures for one batch", f"{len(selection)} pictures, {batches}"
        raise BadData(what, file=betons, value=value, remedy="lower train.batch_size, or select more pictures")
    pictures = find_pictures(betons, selection)
    plan = Plan(pictures, batch_size, side_px, augmentation, shuffle, seed, drop_last, sampling, rank, world)
    if device is not None and _can_stay(plan, kind, device):
        with closing(_open(as_evaluated(plan), "auto", workers=workers)) as still:
            return ResidentLoader(plan, still, device)
    return _open(plan, kind, workers=workers)


def open_still(
    betons: Path, rows: pd.DataFrame, *, batch_size: int, side_px: int, kind: Kind, workers: int
) -> BatchLoader:
    """Open pictures (columns image_id, label, weight) as evaluation sees them: each once, in the order of the rows.

    Raises as `open_loader` does.
    """
    return open_loader(
        betons,
        rows,
        batch_size=min(batch_size, len(rows)),
        side_px=side_px,
        augmentation=None,
        shuffle=False,
        seed=0,
        drop_last=False,
        kind=kind,
        workers=workers,
    )


def _can_stay(plan: Plan, kind: Kind, device: torch.device) -> bool:
    """Whether to keep the pictures on the device. Raises ConfigError when that was asked for and cannot be."""
    reason = obstacle(plan, device)
    if reason and kind == "resident":
        what, remedy = "the pictures cannot stay on the device", "set loader = auto (PERENNIAL_LOADER=auto)"
        raise ConfigError(what, file="settings.toml", value=f"loader = resident: {reason}", remedy=remedy)
    return not reason and (kind == "resident" or (kind == "auto" and device.type == "cuda"))


def _open(plan: Plan, kind: Kind, *, workers: int) -> BatchLoader:
    if kind == "torchvision":
        return TorchLoader(plan, workers=workers)
    try:
        return _open_ffcv(plan, stock=kind == "stock", workers=workers)
    except DependencyMissing as error:
        if kind not in ("auto", "resident"):
            raise
        log.warning("%s (%s): the torchvision loader reads the betons, same pictures, slower", error.what, error.value)
        return TorchLoader(plan, workers=workers)


def _open_ffcv(plan: Plan, *, stock: bool, workers: int) -> BatchLoader:
    """Raises DependencyMissing where ffcv or the C decoder cannot be used."""
    load()
    try:
        from pipeline_lib.loader.ffcv_loader import FfcvLoader
        from pipeline_lib.loader.stock_loader import StockLoader
    except (ImportError, OSError) as error:  # OSError: a system library that ffcv links to is gone
        remedy = "run `make setup`, or set PERENNIAL_LOADER=torchvision"
        raise DependencyMissing("ffcv cannot be used", file="ffcv", value=str(error), remedy=remedy) from error
    return StockLoader(plan, workers=workers) if stock else FfcvLoader(plan, workers=workers)
