"""Work on many shards in processes, where a worker that is killed is named with the shard it held.

multiprocessing's own pools lose that name: a Pool waits for ever, and ProcessPoolExecutor fails every shard at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

from pipeline_lib.errors import CodeFailed, Interrupted, PipelineError
from pipeline_lib.parent_watch import die_with_parents

Unit = TypeVar("Unit")
Result = TypeVar("Result")


def work_on_shards(
    task: Callable[[Unit], Result], units: Mapping[str, Unit], *, workers: int
) -> Iterator[tuple[str, Result]]:
    """Yield (shard, task(unit)) as shards are done, in any order.

    task and units must pickle. One worker, or one shard, is worked in this process. Raises the task's PipelineError;
    Interrupted when a worker was killed; CodeFailed when the task broke (its traceback is printed).
    """
    if min(workers, len(units)) <= 1:
        yield from ((shard, task(unit)) for shard, unit in units.items())
        return
    pool = [_Worker(task) for _ in range(min(workers, len(units)))]
    try:
        yield from _share_out(pool, units)
    finally:
        for worker in pool:
            worker.end()


class _Worker:
    """One process and the shard it holds. Spawned, not forked: a forked child would inherit locks of our threads."""

    def __init__(self, task: Callable[[Any], Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, far_end = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_serve, args=(task, far_end, os.getpid()), daemon=True)
        self.process.start()
        far_end.close()  # so that a dead worker reads as the end of the pipe
        self.shard = ""

    def give(self, shard: str, unit: Any) -> None:
        self.shard = shard
        self.pipe.send((shard, unit))

    def take(self) -> Any:
        try:
            answer = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            raise _killed(self.shard, self.process.exitcode or 0) from None
        if isinstance(answer, PipelineError):
            raise answer
        return answer

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _share_out(pool: list[_Worker], units: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    waiting = iter(units.items())
    busy: dict[Connection, _Worker] = {}
    for worker in pool:
        worker.give(*next(waiting))
        busy[worker.pipe] = worker
    while busy:
        for pipe in wait(list(busy)):
            worker = busy.pop(pipe)  # type: ignore[call-overload]  # wait() also takes sockets and handles
            done = worker.shard, worker.take()
            if following := next(waiting, None):
                worker.give(*following)
                busy[worker.pipe] = worker
            yield done


def _serve(task: Callable[[Any], Any], pipe: Connection, parent_pid: int) -> None:
    """The life of a worker: it ends when it is killed, or with its parent, also one gone before we are ready."""
    die_with_parents(parent_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    while True:
        shard, unit = pipe.recv()
        try:
            answer = task(unit)
        except PipelineError as error:
            answer = error
        except Exception as error:  # noqa: BLE001 - the border of the process: a defect still reaches the parent
            traceback.print_exc(file=sys.stderr)
            remedy = "report this with the traceback above"
            what = f"{type(error).__name__} in our code"
            answer = CodeFailed(what, file=f"shard {shard}", value=str(error), remedy=remedy)
        pipe.send(answer)


def _killed(shard: str, exit_code: int) -> Interrupted:
    cause = signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"
    remedy = "mostly memory ran out: set PERENNIAL_WORKERS to fewer workers and run again; it continues"
    return Interrupted("a worker process was killed", file=f"shard {shard}", value=cause, remedy=remedy)
