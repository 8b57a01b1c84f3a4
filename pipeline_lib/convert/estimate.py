"""Estimate the time and the size of a conversion by converting a few of its images first."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.convert.shard import Task
from pipeline_lib.convert.stored import stored_form
from pipeline_lib.errors import NoSpace
from pipeline_lib.harness.shard_engine import n_workers
from pipeline_lib.settings import Settings
from pipeline_lib.shards.read import MemberBytes

log = logging.getLogger(__name__)
SAMPLE = 24  # number of images, spread evenly over the work
SHARE = 20  # at most one image in 20, so that the estimate costs 5 % of the work or less
CLEARLY = 0.8  # the estimate may be a fifth off; a disk that fills up later is reported then


@dataclass(frozen=True)
class ConversionEstimate:
    """Estimate for all images to convert, from a sample of n. work_s: for one worker."""

    n: int
    size_bytes: int
    work_s: float


def announce(left: Collection[Task], *, folder: Path, settings: Settings) -> None:
    """Log the estimate in one line. Raises NoSpace if the disk of `folder` is clearly too small."""
    tasks = list(left)
    n_images = sum(task.n_images for task in tasks)
    if n_images < SHARE:  # finished before anyone could read an estimate
        return
    found = estimate(tasks)
    workers = n_workers(sum(task.size_bytes for task in tasks), settings)
    log.info(
        "%d images in %d shards to do, about %d MB and %d s with %d workers (measured on %d)",
        *(
            n_images,
            len(tasks),
            math.ceil(found.size_bytes / 1e6),
            math.ceil(found.work_s / workers),
            workers,
            found.n,
        ),
    )
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < CLEARLY * found.size_bytes:
        value = f"{free_bytes / 1e6:.0f} MB free"
        remedy = "free some space (docs/operations.md lists what can be deleted), or set convert.short_side_px"
        what = (
            f"the disk is too small: {n_images} images take about {found.size_bytes / 1e6:.0f} MB"
        )
        raise NoSpace(what, file=folder, value=value, remedy=remedy)


def estimate(tasks: Sequence[Task]) -> ConversionEstimate:
    """Convert a few images without keeping them; the first one twice, since its first time includes loading."""
    places = [(task, image) for task in tasks for image in task.images]
    n = min(SAMPLE, max(1, len(places) // SHARE))
    chosen = places[:: len(places) // n][:n]
    taken = []
    with MemberBytes(tasks[0].shards_folder) as members:
        for task, image in [chosen[0], *chosen]:
            began = time.perf_counter()
            data = members.read(image.container, image.offset_bytes, image.size_bytes)
            stored = stored_form(data, image, task.params, task.rules, shards=task.shards_folder)
            taken.append((len(stored.content), time.perf_counter() - began))
    sizes_bytes, seconds = zip(*taken[1:], strict=True)
    scale = len(places) / n
    return ConversionEstimate(n, round(sum(sizes_bytes) * scale), sum(seconds) * scale)
