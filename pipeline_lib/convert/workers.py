"""Map over shards in worker processes; one that dies ends in one line, not in a wait for ever."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path

from pipeline_lib.convert.shard import Task, convert_shard
from pipeline_lib.errors import Interrupted
from pipeline_lib.parent_watch import die_with_parents


def convert_shards(tasks: list[Task], folder: Path, *, workers: int) -> Iterator[Task]:
    """Convert shards into `folder`, giving each task when its files are there. At most `workers` are under way.

    Raises what a shard raises; Interrupted, naming the shards under way, when a worker dies (killed, out of memory).
    """
    if workers == 1 or len(tasks) <= 1:
        for task in tasks:
            convert_shard(task, folder)
            yield task
        return
    spawn, waiting = multiprocessing.get_context("spawn"), iter(tasks)
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=spawn, initializer=die_with_parents) as pool:
        running: dict[Future[None], Task] = {}
        for task in islice(waiting, workers):
            running[pool.submit(convert_shard, task, folder)] = task
        while running:
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                try:
                    done.result()
                except BrokenProcessPool as error:
                    raise _worker_died(list(running.values())) from error
                yield running.pop(done)
                for task in islice(waiting, 1):
                    running[pool.submit(convert_shard, task, folder)] = task


def _worker_died(running: list[Task]) -> Interrupted:
    shards = ", ".join(task.shard for task in running)
    remedy = "run `dvc repro` again, it keeps finished shards; if memory ran out, with PERENNIAL_WORKERS=1"
    return Interrupted(
        "a worker was killed while converting", file=running[0].shards_folder, value=shards, remedy=remedy
    )
