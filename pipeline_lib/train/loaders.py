"""The images of a training from the betons: as it trains on them, or as evaluation sees them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from functools import partial

import pandas as pd
import torch

from pipeline_lib.loader import Augmentation, Batch, BatchLoader, open_loader
from pipeline_lib.stage import StageRun
from pipeline_lib.train.distributed import on_this_machine, rank, world
from pipeline_lib.train.recipes import Recipe

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
        kind=job.settings.loader,
        workers=max(1, job.settings.worker_count() // on_this_machine()),
        sampling=recipe.sampling if training else "as_is",
        rank=rank() if share else 0,
        world=n_processes,
        device=device,
    )


class ResizingLoader:
    """Shows an epoch at sides_E[due] pixels, or at the last size.

    open_at: opens the same pictures at a size; one loader is open at a time. due: set before each epoch.
    """

    def __init__(self, sides_E: Sequence[int], open_at: Callable[[int], BatchLoader]) -> None:
        self.sides_E, self.open_at = sides_E, open_at
        self.due = 0
        self.side_px, self.loader = sides_E[0], open_at(sides_E[0])
        self.kind, self.image_ids = self.loader.kind, self.loader.image_ids

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        side_px = self.sides_E[min(self.due, len(self.sides_E) - 1)]
        if side_px != self.side_px:
            self.loader.close()
            self.side_px, self.loader = side_px, self.open_at(side_px)
        return self.loader.epoch(epoch, start)

    def close(self) -> None:
        self.loader.close()


def fed(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """The same batches with their tensors on the device. On a CPU, the batches as they come.

    A GPU copies on a stream of its own, while it computes on another, and nothing waits for it. So a batch is held
    until its copy is done: loaders fill its pinned memory anew as soon as nobody holds it.
    """
    if device.type != "cuda":
        yield from batches
        return
    computing = torch.cuda.current_stream(device)
    copying = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    held: deque[tuple[torch.cuda.Event, Batch]] = deque()
    try:
        for batch in batches:
            with torch.cuda.stream(copying):
                copied = {name: tensor.to(device, non_blocking=True) for name, tensor in vars(batch).items()}
            held.append((copying.record_event(), batch))
            computing.wait_event(held[-1][0])
            for tensor in copied.values():
                tensor.record_stream(computing)  # or its memory would be taken for a later copy while it is read
            while held[0][0].query() and len(held) > 1:  # type: ignore[no-untyped-call]
                held.popleft()
            yield Batch(**copied)
    finally:
        copying.synchronize()
