"""Choose and open a loader."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path
from typing import Literal

import pandas as pd
import torch

from pipeline_lib.errors import BadData, ConfigError, DependencyMissing
from pipeline_lib.loader.augmentation import Augmentation
from pipeline_lib.loader.batches import BatchLoader
from pipeline_lib.loader.decoding_loader import DecodingLoader
from pipeline_lib.loader.epoch_plan import Plan, Sampling
from pipeline_lib.loader.find_images import find_images
from pipeline_lib.loader.resident_loader import ResidentLoader, as_evaluated, obstacle
from pipeline_lib.native.views import load

Kind = Literal["auto", "native", "python", "resident", "ffcv"]
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
    """Open the images of a selection (columns image_id, label, weight) for training or evaluation.

    betons: the folder that `convert` wrote. side_px: height and width of what comes out. augmentation: None shows the
    centred square. shuffle: an order keyed by (seed, epoch), else that of the selection. drop_last: leave out a last
    batch that is not full; evaluation must not. workers: decoding threads, whose number changes nothing.

    kind: `native` (our C decoder), `python` (libraries only; slower), `resident` (decoded once and kept on `device`)
    and `auto` (on a GPU resident where it can be used, else native where it can be used, else python) give the same
    bytes. Without a device `resident` is `auto`. `ffcv` is FFCV's own Loader: the same images in the same order, but
    views that it draws and resizes itself and that cannot be repeated.

    sampling: `as_is` shows every image once in an epoch; `balanced` draws as many with replacement, every class
    equally often, each visit with a view of its own. How much an image counts in the loss is another matter: the
    column weight (curate.class_weights), which comes along in each batch. Both would favour rare classes twice.

    rank, world: this process's number among `world` processes that share the work. Process r gets the visits r,
    r + world, ... of each common batch of world * batch_size images, so together they see what one process with that
    batch size sees. With drop_last all have the same number of batches; without, every image comes exactly once over
    all of them, nothing is padded, and some may have a batch less.

    Raises BadData (empty selection, less than one batch, an image in no beton), OutputDamaged (a beton that is not
    whole), DependencyMissing (a loader asked for that is not usable here), ConfigError (an augmentation that `ffcv` or
    `resident` does not have, or images that do not fit).
    """
    # Said here in the user's words: further on, an epoch without batches would look like a training that did nothing.
    if len(selection) < (batch_size * world if drop_last else 1):
        batches = f"batches of {batch_size}" + (
            f" in each of {world} processes" if world > 1 else ""
        )
        value = f"{len(selection)} images, {batches}"
        remedy = "lower train.batch_size, or select more images"
        raise BadData("too few images for one batch", file=betons, value=value, remedy=remedy)

    # Everything that decides on pixels and order; what comes after decides on speed alone, but for `ffcv`.
    plan = Plan(
        images=find_images(betons, selection),
        batch_size=batch_size,
        side_px=side_px,
        augmentation=augmentation,
        shuffle=shuffle,
        seed=seed,
        drop_last=drop_last,
        sampling=sampling,
        rank=rank,
        world=world,
    )
    if kind == "ffcv":
        return _open_ffcv(plan, workers=workers)

    # What stays on the device is decoded once by one of the others, each image as it is.
    if device is not None and _can_stay(plan, kind, device):
        with closing(_open_decoding(as_evaluated(plan), "auto", workers=workers)) as still:
            return ResidentLoader(plan, still, device)
    return _open_decoding(plan, kind, workers=workers)


def open_still(
    betons: Path, rows: pd.DataFrame, *, batch_size: int, side_px: int, kind: Kind, workers: int
) -> BatchLoader:
    """Open images (columns image_id, label, weight) as evaluation sees them: each once, in the order of the rows.

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
    """Whether to keep the images on the device. Raises ConfigError when that was asked for and cannot be."""
    reason = obstacle(plan, device)
    if reason and kind == "resident":
        what, remedy = (
            "the images cannot stay on the device",
            "set loader = auto (PERENNIAL_LOADER=auto)",
        )
        raise ConfigError(
            what, file="settings.toml", value=f"loader = resident: {reason}", remedy=remedy
        )
    return not reason and (kind == "resident" or (kind == "auto" and device.type == "cuda"))


def _open_decoding(plan: Plan, kind: Kind, *, workers: int) -> BatchLoader:
    """The native loader, or the python one where that was asked for or the C decoder cannot be used."""
    if kind == "python":
        return DecodingLoader(plan, kind="python", workers=workers)
    try:
        load()
    except DependencyMissing as error:
        if kind == "native":
            raise
        log.warning(
            "%s (%s): loader `python` reads the betons, same images, slower",
            error.what,
            error.value,
        )
        return DecodingLoader(plan, kind="python", workers=workers)
    return DecodingLoader(plan, kind="native", workers=workers)


def _open_ffcv(plan: Plan, *, workers: int) -> BatchLoader:
    """Raises DependencyMissing where ffcv cannot be used."""
    try:
        from pipeline_lib.loader.ffcv_loader import FfcvLoader
    except (ImportError, OSError) as error:  # OSError: a system library that ffcv links to is gone
        remedy = "run `make setup`, or set train.views to keyed"
        raise DependencyMissing(
            "ffcv cannot be used", file="ffcv", value=str(error), remedy=remedy
        ) from error
    log.warning("FFCV's own Loader draws the views: a training with it cannot be repeated")
    return FfcvLoader(plan, workers=workers)
