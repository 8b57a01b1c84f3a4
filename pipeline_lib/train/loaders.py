"""The images of a training on their way from the betons to the device: opened, resized between epochs, copied ahead."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import pandas as pd
import torch

from pipeline_lib.harness.stage import StageRun
from pipeline_lib.loader import Augmentation, Batch, BatchLoader, open_loader
from pipeline_lib.loader.view_params import ViewParams
from pipeline_lib.train.distributed import processes_on_this_machine, rank, world
from pipeline_lib.train.params import TrainParams
from pipeline_lib.train.recipes import Recipe

log = logging.getLogger(__name__)


def open_training_views(
    job: StageRun[TrainParams], rows: pd.DataFrame, recipe: Recipe, device: torch.device
) -> BatchLoader:
    """Open the training views of `rows`, of one size or of growing sizes. device: where images may stay."""
    sides_E = recipe.training_sides()
    open_at = partial(open_images, job, rows, recipe, training=True, device=device)
    if len(set(sides_E)) == 1:
        return open_at(side_px=sides_E[0])

    log.info("training images of %d px, at last %d px", sides_E[0], sides_E[-1])
    return ResizingLoader(sides_E, lambda side_px: open_at(side_px=side_px))


def open_images(
    job: StageRun[TrainParams],
    rows: pd.DataFrame,
    recipe: Recipe,
    *,
    training: bool = False,
    side_px: int | None = None,
    share: bool = True,
    device: torch.device | None = None,
) -> BatchLoader:
    """Open the images of `rows` (image_id, label, weight) as training views, or as evaluation sees them.

    side_px: None takes the recipe's. share: each process gets its part of every batch, else all of it. device: where
    images may stay. Raises as `open_loader` does.
    """
    n_processes = world() if share else 1
    batch_size = min(recipe.batch_size, len(rows)) // n_processes
    augmentation = Augmentation(**recipe.model_dump(include=set(ViewParams.model_fields)))
    by_ffcv = training and job.params.views == "ffcv"
    return open_loader(
        job.reads["betons"],
        rows,
        batch_size=max(1, batch_size),
        side_px=side_px or recipe.side_px,
        augmentation=augmentation if training else None,
        shuffle=training,
        seed=job.params.seed,
        drop_last=training,  # a last batch of one would break batch normalisation
        kind="ffcv" if by_ffcv else job.settings.loader,
        workers=max(1, job.settings.worker_count() // processes_on_this_machine()),
        sampling=recipe.sampling if training else "as_is",
        rank=rank() if share else 0,
        world=n_processes,
        device=device,
    )


class ResizingLoader:
    """A loader whose images may have another size in each epoch: sides_E[due] pixels, or the last size beyond it.

    open_at: opens the same images at a size; one loader is open at a time. due: set before each epoch.
    """

    def __init__(self, sides_E: Sequence[int], open_at: Callable[[int], BatchLoader]) -> None:
        self.sides_E = sides_E
        self.open_at = open_at
        self.due = 0
        self.side_px = sides_E[0]
        self.loader = open_at(self.side_px)
        self.kind = self.loader.kind
        self.image_ids = self.loader.image_ids

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from `start` on, at the size that is due."""
        side_px = self.sides_E[min(self.due, len(self.sides_E) - 1)]
        if side_px != self.side_px:
            self.loader.close()
            self.side_px = side_px
            self.loader = self.open_at(side_px)
        return self.loader.epoch(epoch, start)

    def close(self) -> None:
        """Close the loader that is open."""
        self.loader.close()


def copied_ahead(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Yield the same batches with their tensors on the device, copied while the step before computes.

    On a CPU, the batches as they come. A GPU copies on a stream of its own and nothing waits for it. So a batch is held
    until its copy is done: loaders reuse its pinned memory as soon as nobody holds it.
    """
    if device.type != "cuda":
        yield from batches
        return

    computing = torch.cuda.current_stream(device)
    copying = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    held: deque[tuple[torch.cuda.Event, Batch]] = deque()
    try:
        for batch in batches:
            # Start the copy, and let the step wait for it on the device.
            with torch.cuda.stream(copying):
                copied = {
                    name: tensor.to(device, non_blocking=True)
                    for name, tensor in vars(batch).items()
                }
            copy_is_done = copying.record_event()
            held.append((copy_is_done, batch))
            computing.wait_event(copy_is_done)

            # Otherwise the memory of a tensor would be reused by a later copy while the step still reads it.
            for tensor in copied.values():
                tensor.record_stream(computing)

            # Let go of the batches whose copies are done.
            while len(held) > 1 and held[0][0].query():  # type: ignore[no-untyped-call]
                held.popleft()
            yield Batch(**copied)
    finally:
        copying.synchronize()
