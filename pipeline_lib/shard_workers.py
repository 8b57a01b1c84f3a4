"""Work on many shards in processes, where a worker that is killed is named with the picture it held.

multiprocessing's own pools lose that name: a Pool waits for ever, and ProcessPoolExecutor fails every shard at once.
"""

from __future__ import annotations

import ctypes
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
At = Callable[[str], None]
Step = Callable[[int], object]
LOOK_EVERY_S = 0.5  # how often the parent counts what its workers did


def work_on_shards(
    task: Callable[[Unit, At], Result], units: Mapping[str, Unit], *, workers: int, step: Step
) -> Iterator[tuple[str, Result]]:
    """Yield (shard, task(unit, at)) as shards are done, in any order.

    task and units must pickle. The task calls `at(image_id)` before each picture; `step` is told how many pictures were
    begun since its last call. One worker, or one shard, is worked in this process. Raises the task's PipelineError;
    Interrupted when a worker was killed; CodeFailed when the task broke (its traceback is printed).
    """
    if min(workers, len(units)) <= 1:
        yield from _work_here(task, units, step)
        return
    pool = [_Worker(task) for _ in range(min(workers, len(units)))]
    try:
        yield from _share_out(pool, units, step)
    finally:
        for worker in pool:
            worker.end()


class _Place(ctypes.Structure):
    """Where a process is. It lies in memory shared with the parent, who reads it also after a kill."""

    _fields_ = (("begun", ctypes.c_uint64), ("image_id", ctypes.c_char * 1024))

    def at(self, image_id: str) -> None:
        self.image_id = image_id.encode()[:1023]
        self.begun += 1

    def of(self, shard: str) -> str:
        """The shard and its picture, for messages."""
        image_id = self.image_id.decode(errors="replace")
        return f"shard {shard}, {image_id}" if image_id else f"shard {shard}"


class _Worker:
    """One process and the shard it holds. Spawned, not forked: a forked child would inherit locks of our threads."""

    def __init__(self, task: Callable[[Any, At], Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, far_end = context.Pipe()
        self.place: _Place = context.RawValue(_Place)
        arguments = (task, far_end, self.place, os.getpid())
        self.process: SpawnProcess = context.Process(target=_serve, args=arguments, daemon=True)
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
            raise _killed(self.place.of(self.shard), self.process.exitcode or 0) from None
        if isinstance(answer, PipelineError):
            raise answer
        return answer

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _work_here(task: Callable[[Any, At], Any], units: Mapping[str, Any], step: Step) -> Iterator[tuple[str, Any]]:
    place = _Place()

    def at(image_id: str) -> None:
        place.at(image_id)
        step(1)

    for shard, unit in units.items():
        answer = _attempt(task, unit, shard, place, at)
        if isinstance(answer, PipelineError):
            raise answer
        yield shard, answer


def _share_out(pool: list[_Worker], units: Mapping[str, Any], step: Step) -> Iterator[tuple[str, Any]]:
    waiting = iter(units.items())
    busy: dict[Connection, _Worker] = {}
    counted = 0
    for worker in pool:
        worker.give(*next(waiting))
        busy[worker.pipe] = worker
    while busy:
        ready = wait(list(busy), timeout=LOOK_EVERY_S)
        if new := sum(worker.place.begun for worker in pool) - counted:
            step(new)
            counted += new
        for pipe in ready:
            worker = busy.pop(pipe)  # type: ignore[call-overload]  # wait() also takes sockets and handles
            done = worker.shard, worker.take()
            if following := next(waiting, None):
                worker.give(*following)
                busy[worker.pipe] = worker
            yield done


def _serve(task: Callable[[Any, At], Any], pipe: Connection, place: _Place, parent_pid: int) -> None:
    """The life of a worker: it ends when it is killed, or with its parent, also one gone before we are ready."""
    die_with_parents(parent_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    while True:
        shard, unit = pipe.recv()
        pipe.send(_attempt(task, unit, shard, place, place.at))


def _attempt(task: Callable[[Any, At], Any], unit: Any, shard: str, place: _Place, at: At) -> Any:
    """The task's result, or the error to raise: a border, where a defect still reaches the user in one line."""
    place.image_id = b""
    try:
        return task(unit, at)
    except PipelineError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever our code raises
        traceback.print_exc(file=sys.stderr)
        what, remedy = f"{type(error).__name__} in our code", "report this with the traceback above"
        return CodeFailed(what, file=place.of(shard), value=str(error), remedy=remedy)


def _killed(place: str, exit_code: int) -> Interrupted:
    cause = signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"
    remedy = "mostly memory ran out: set PERENNIAL_WORKERS to fewer workers and run again; it continues"
    return Interrupted("a worker process was killed", file=place, value=cause, remedy=remedy)
