"""Measure one loader in a process of its own, so that start-up, CPU and memory are its alone.

    python -m benchmarks.support.one_loader '{"module": ..., "option": ..., "folder": ..., "started": ..., "epochs":
    ...}'

Prints what it measured as one line of JSON. benchmarks/speed/loaders.py starts it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

LOOK_EVERY = 4  # batches, at memory


def measure(
    *, module: str, option: str, folder: str, started: float, epochs: int, memory_at: list[int]
) -> dict[str, Any]:
    """One epoch to warm up, in which the output is checked, then `epochs` that are measured.

    started: time.monotonic() of the parent when it started this process. memory_at: epochs (0 is the first) after which
    to look at memory, threads and open files.
    """
    os.sched_setaffinity(
        0, sorted(os.sched_getaffinity(0))[:2]
    )  # as many cores as workers, on any machine
    import_module("torch")  # which training needs, whatever the loader
    competitor = import_module(f"benchmarks.support.competitors.{module}")
    open_epoch = competitor.open_batches(Path(folder), option)
    first = _first_epoch(open_epoch, started)

    # From the second epoch on everything is compiled and in memory.
    n_images = 0
    looks = []
    cpu_before_s = cpu_of_tree_s()
    for epoch in range(1, epochs + 1):
        n_images += sum(len(images) for images in open_epoch(epoch))
        if epoch in memory_at:
            looks.append(look())
    cpu_s = cpu_of_tree_s() - cpu_before_s
    return {
        **first,
        "cpu_ms": 1000 * cpu_s / n_images,
        "n_images": n_images // epochs,
        "looks": looks,
    }


def _first_epoch(open_epoch: Any, started: float) -> dict[str, float]:
    """Wall and CPU seconds to the first batch, most memory in MB, mean level of all pixels (0 to 255)."""
    from benchmarks.support.competitors import BATCH_SIZE, SIDE_PX

    first_batch_s = first_batch_cpu_s = memory_mb = 0.0
    levels = []
    for number, images in enumerate(open_epoch(0)):
        if number == 0:
            first_batch_s = time.monotonic() - started
            first_batch_cpu_s = cpu_of_tree_s()
        shapes = {(BATCH_SIZE, 3, SIDE_PX, SIDE_PX), (BATCH_SIZE, SIDE_PX, SIDE_PX, 3)}
        assert str(images.dtype) == "torch.uint8" and tuple(images.shape) in shapes, (
            images.dtype,
            images.shape,
        )
        levels.append(float(images.float().mean()))
        if number % LOOK_EVERY == 0:
            memory_mb = max(memory_mb, memory_of_tree_mb())
    return {
        "first_batch_s": first_batch_s,
        "first_batch_cpu_s": first_batch_cpu_s,
        "memory_mb": memory_mb,
        "mean_level": sum(levels) / len(levels),
    }


def look() -> dict[str, float]:
    """Memory in MB, threads and open files of this process and its children, now."""
    tree = process_tree()
    threads, files = sum(one.num_threads() for one in tree), sum(one.num_fds() for one in tree)
    return {"memory_mb": memory_of_tree_mb(), "threads": threads, "files": files}


def process_tree() -> list[psutil.Process]:
    """This process and all its children."""
    this = psutil.Process()
    return [this, *this.children(recursive=True)]


def cpu_of_tree_s() -> float:
    """User and system seconds of this process, its children, and those of them that have ended."""
    return sum(sum(one.cpu_times()[:4]) for one in process_tree())


def memory_of_tree_mb() -> float:
    """What this process and its children keep to themselves or share with each other; without the page cache."""
    kb = 0
    for one in process_tree():
        fields = dict(
            line.split(":")
            for line in Path(f"/proc/{one.pid}/smaps_rollup")
            .read_text(encoding="utf-8")
            .splitlines()[1:]
        )
        kb += sum(int(fields[name].removesuffix("kB")) for name in ("Pss_Anon", "Pss_Shmem"))
    return kb * 1024 / 1e6


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
