"""Process a stream of units in worker processes, and give the results in its order.

For work that may have no end, such as names that come through a pipe: nothing is read ahead without bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from pipeline_lib.errors import PipelineError
from pipeline_lib.harness import cpu_clock
from pipeline_lib.harness.shard_workers import At, Pool, Worker

Unit = TypeVar("Unit")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Pause:
    """In place of a unit: there is none now, and there may be one when this file becomes readable."""

    fileno: int


def work_in_order(
    task: Callable[[Unit, At], Result],
    units: Iterator[Unit | Pause],
    *,
    workers: int,
    spare: Callable[[Unit, str, str], Unit],
    ahead: int,
) -> Iterator[Result]:
    """Yield task(unit, at) in the order of the units, each as soon as it and all before it are done.

    units: taken one by one, when a worker is free and fewer than `ahead` are begun and not yielded, so that memory
    stays bounded however many there are. Workers are forked if possible, each when there is a unit for it. Raises as
    `work_on_shards`, after the results of the units before the one that failed.
    """
    pool = Pool(task, 0, spare, forked=True, image_cpu_s=cpu_clock.IMAGE_CPU_S)
    try:
        yield from _in_order(pool, units, workers, ahead)
    finally:
        pool.end()


def _in_order(pool: Pool, units: Iterator[Any], most_workers: int, ahead: int) -> Iterator[Any]:
    busy: dict[Connection, Worker] = {}
    idle: list[Worker] = []
    done: dict[int, Any] = {}
    given = yielded = 0
    while True:
        # Give units to all who are free, as long as there are some at once.
        pause: Pause | None = None
        while len(busy) < most_workers and given - yielded < ahead:
            unit = next(units, None)
            if unit is None or isinstance(unit, Pause):
                pause = unit
                break
            worker = idle.pop() if idle else pool.another()
            worker.give(str(given), unit)
            busy[worker.pipe] = worker
            given += 1
        if not busy and pause is None:
            return

        # Take what is done; a dead worker's unit goes to a new one.
        awake = wait([*busy, *([pause.fileno] if pause else [])])
        for pipe in busy.keys() & set(awake):
            worker = busy.pop(pipe)
            try:
                done[int(worker.shard)] = worker.take()
            except EOFError:
                worker = pool.replace(worker)
                busy[worker.pipe] = worker
                continue
            except PipelineError as error:
                done[int(worker.shard)] = error
            idle.append(worker)
        while yielded in done:
            result = done.pop(yielded)
            yielded += 1
            if isinstance(result, PipelineError):
                raise result
            yield result
