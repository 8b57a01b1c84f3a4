"""Work on many shards in processes, where a worker that dies is named with the picture it held.

A picture that ends its worker twice can be passed over, so that no file stops a run; see `spare`.
multiprocessing's own pools lose that name: a Pool waits for ever, and ProcessPoolExecutor fails every shard at once.
"""

from __future__ import annotations

import collections
import ctypes
import hashlib
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from pipeline_lib.errors import Interrupted, PipelineError, defect
from pipeline_lib.harness.parent_watch import die_with_parents
from pipeline_lib.shown import shown

Unit = TypeVar("Unit")
Result = TypeVar("Result")
At = Callable[[str], None]
Step = Callable[[int], object]
Spare = Callable[[Any, str, str], Any]
NAME_BYTES = 4096  # of the memory that an image's name is shared in, with the zero that ends it
IMAGE_CPU_S = 120.0  # of a worker between two images; the costliest image that is decoded takes a tenth of it
LOSSES_OF_A_SHARD = 4  # workers, at pictures that differ: then it is not the pictures
LOOK_EVERY_S = 0.5  # how often the parent counts what its workers did


def work_on_shards(
    task: Callable[[Unit, At], Result],
    units: Mapping[str, Unit],
    *,
    workers: int,
    step: Step,
    spare: Callable[[Unit, str, str], Unit] | None = None,
    little: bool = False,
    image_cpu_s: float = IMAGE_CPU_S,
) -> Iterator[tuple[str, Result]]:
    """Yield (shard, task(unit, at)) as shards are done, in any order.

    task and units must pickle. The task calls `at(image_id)` before each picture; `step` is told how many pictures were
    begun since its last call. spare(unit, shared_name, cause): the unit to go on with after a worker died twice at the
    same picture, given as `shared_name(image_id)`; cause is a signal's name or "exit code N". A first death may have
    been an accident of the machine, so the shard is tried again as it was. A worker that uses more than image_cpu_s
    of CPU time for one picture is ended by SIGPROF. Without `spare` there is no such limit, the first death ends the
    work, and one worker, or one shard, is worked in this process. little: the work takes no longer than a new process
    takes to load its libraries, so that workers are forked where that can be done. Raises the task's PipelineError;
    Interrupted when a worker was killed; CodeFailed when the task broke (its traceback is printed).
    """
    n_workers = min(workers, len(units))
    if n_workers <= 1 and spare is None:
        yield from _work_here(task, units, step)
        return
    pool = _Pool(task, n_workers, spare, forked=little or n_workers == 1, image_cpu_s=image_cpu_s if spare else 0)
    try:
        yield from _share_out(pool, units, step)
    finally:
        pool.end()


def shared_name(image_id: str) -> str:
    """The image_id, or its beginning and its sha256 where it is too long to share: a key of up to 4,095 bytes."""
    raw = image_id.encode()
    if len(raw) < NAME_BYTES:
        return image_id
    mark = f"...sha256:{hashlib.sha256(raw).hexdigest()}"
    return raw[: NAME_BYTES - 1 - len(mark)].decode(errors="ignore") + mark


class Place(ctypes.Structure):
    """Where a process is. It lies in memory shared with the parent, who reads it also after a kill."""

    _fields_ = (("begun", ctypes.c_uint64), ("image_id", ctypes.c_char * NAME_BYTES))

    def at(self, image_id: str) -> None:
        self.image_id = shared_name(image_id).encode()
        self.begun += 1

    def of(self, shard: str) -> str:
        """The shard and its picture, for messages."""
        image_id = self.image_id.decode(errors="replace")
        return f"shard {shard}, {image_id}" if image_id else f"shard {shard}"


class _Worker:
    """One process and the shard it holds.

    Spawned for long work: a forked child could inherit a lock that one of our threads held. For little work, and where
    one alone is there to die in our place, forked before we have threads that matter: no 2 s to load what we have.
    """

    def __init__(self, task: Callable[[Any, At], Any], *, forked: bool, image_cpu_s: float) -> None:
        context: Any = multiprocessing.get_context("fork" if forked else "spawn")
        self.pipe, far_end = context.Pipe()
        self.place: Place = context.RawValue(Place)
        arguments = (task, far_end, self.place, os.getpid(), image_cpu_s)
        self.process: BaseProcess = context.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        far_end.close()  # so that a dead worker reads as the end of the pipe
        self.shard, self.unit = "", None

    def give(self, shard: str, unit: Any) -> None:
        self.shard, self.unit = shard, unit
        self.pipe.send((shard, unit))

    def take(self) -> Any:
        """The answer. Raises what the task raised; EOFError when the process has died."""
        try:
            answer = self.pipe.recv()
        except ConnectionResetError:
            raise EOFError from None
        if isinstance(answer, PipelineError):
            raise answer
        return answer

    def cause_of_death(self) -> str:
        self.process.join()
        code = self.process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


class _Pool:
    """The workers, and what is known of the pictures at which some died."""

    def __init__(
        self,
        task: Callable[[Any, At], Any],
        n_workers: int,
        spare: Spare | None,
        *,
        forked: bool,
        image_cpu_s: float,
    ) -> None:
        self.spare = spare
        self.new_worker = partial(_Worker, task, forked=forked and sys.platform == "linux", image_cpu_s=image_cpu_s)
        self.workers = [self.new_worker() for _ in range(n_workers)]
        self.deaths: collections.Counter[tuple[str, str]] = collections.Counter()
        self.losses: collections.Counter[str] = collections.Counter()
        self.begun_by_the_dead = 0

    def begun(self) -> int:
        return self.begun_by_the_dead + sum(int(worker.place.begun) for worker in self.workers)

    def replace(self, dead: _Worker) -> _Worker:
        """A new worker, at the shard of the dead one. Raises Interrupted when that would help no more."""
        cause, image_id = dead.cause_of_death(), dead.place.image_id.decode(errors="replace")
        unit, suspect = dead.unit, (dead.shard, image_id)
        self.losses[dead.shard] += 1
        self.deaths[suspect] += 1
        # a third death at one picture: it was passed over and came again, so passing over does not help
        if (
            self.spare is None
            or not image_id
            or self.losses[dead.shard] > LOSSES_OF_A_SHARD
            or self.deaths[suspect] > 2
        ):
            raise _killed(dead.place.of(dead.shard), cause)
        if self.deaths[suspect] == 2:
            unit = self.spare(unit, image_id, cause)
            self.losses[dead.shard] = 0
        self.begun_by_the_dead += dead.place.begun
        dead.end()
        self.workers.remove(dead)
        self.workers.append(self.new_worker())
        self.workers[-1].give(dead.shard, unit)
        return self.workers[-1]

    def end(self) -> None:
        for worker in self.workers:
            worker.end()


def _work_here(task: Callable[[Any, At], Any], units: Mapping[str, Any], step: Step) -> Iterator[tuple[str, Any]]:
    place = Place()

    def at(image_id: str) -> None:
        place.at(image_id)
        step(1)

    for shard, unit in units.items():
        answer = attempt(task, unit, shard, place, at)
        if isinstance(answer, PipelineError):
            raise answer
        yield shard, answer


def _share_out(pool: _Pool, units: Mapping[str, Any], step: Step) -> Iterator[tuple[str, Any]]:
    waiting = iter(units.items())
    busy: dict[Connection, _Worker] = {}
    counted = 0
    for worker in pool.workers:
        worker.give(*next(waiting))
        busy[worker.pipe] = worker
    while busy:
        ready = wait(list(busy), timeout=LOOK_EVERY_S)
        if new := pool.begun() - counted:
            step(new)
            counted += new
        for pipe in ready:
            worker = busy.pop(pipe)  # type: ignore[call-overload]  # wait() also takes sockets and handles
            try:
                done = worker.shard, worker.take()
            except EOFError:
                worker = pool.replace(worker)
                busy[worker.pipe] = worker
                continue
            if following := next(waiting, None):
                worker.give(*following)
                busy[worker.pipe] = worker
            yield done


def _serve(task: Callable[[Any, At], Any], pipe: Connection, place: Place, parent_pid: int, image_cpu_s: float) -> None:
    """The life of a worker: it ends when it is killed, or with its parent, also one gone before we are ready.

    The limit is one on CPU time, not on the clock, so that a busy machine changes no verdict.
    """
    die_with_parents(parent_pid)

    def at(image_id: str) -> None:
        place.at(image_id)
        signal.setitimer(signal.ITIMER_PROF, image_cpu_s)  # SIGPROF ends a process that does not ask for it; 0: none

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    while True:
        shard, unit = pipe.recv()
        answer = attempt(task, unit, shard, place, at)
        signal.setitimer(signal.ITIMER_PROF, 0)
        pipe.send(answer)


def attempt(task: Callable[[Any, At], Any], unit: Any, shard: str, place: Place, at: At) -> Any:
    """The task's result, or the error to raise: a border, where a defect still reaches the user in one line."""
    place.image_id = b""
    try:
        return task(unit, at)
    except PipelineError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever our code raises
        sys.stderr.write(shown(traceback.format_exc()))
        return defect(error, file=place.of(shard))


def _killed(place: str, cause: str) -> Interrupted:
    remedy = "mostly memory ran out: set PERENNIAL_WORKERS to fewer workers and run again; it continues"
    return Interrupted("a worker process was killed", file=place, value=cause, remedy=remedy)
