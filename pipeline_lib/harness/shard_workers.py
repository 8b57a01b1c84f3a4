"""Process shards in worker processes, and name the image at which a worker died.

An image that ends its worker twice can be skipped, so that no file stops a run; see `spare`. multiprocessing's own
pools cannot name it: a Pool waits without end, and ProcessPoolExecutor fails every shard at once.
"""

from __future__ import annotations

import collections
import ctypes
import hashlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from pipeline_lib.errors import Interrupted, PipelineError, unforeseen
from pipeline_lib.harness import cpu_clock
from pipeline_lib.harness.parent_watch import die_with_parents
from pipeline_lib.reasons import Reason

Unit = TypeVar("Unit")
Result = TypeVar("Result")
At = Callable[[str], None]
Step = Callable[[int], object]
Spare = Callable[[Any, str, str], Any]
OF_INSPECT = "the folder memo/inspect of the state folder"
NAME_BYTES = 4096  # size of the shared memory for an image's name, including the final zero byte
# SIGKILL: sent by the kernel when memory runs out. SIGPROF: the end of the CPU time of an image, see cpu_clock.
REASON_OF_DEATH = {"SIGKILL": Reason.TOO_MUCH_MEMORY, "SIGPROF": Reason.TOO_MUCH_WORK}
LOSSES_OF_A_SHARD = (
    4  # deaths of workers at different images, after which the images are not the cause
)
LOOK_EVERY_S = 0.5  # how often the parent reads the workers' counters


def work_on_shards(
    task: Callable[[Unit, At], Result],
    units: Mapping[str, Unit],
    *,
    workers: int,
    step: Step,
    spare: Callable[[Unit, str, str], Unit] | None = None,
    little: bool = False,
    image_cpu_s: float | None = None,
) -> Iterator[tuple[str, Result]]:
    """Yield (shard, task(unit, at)) as shards are done, in any order.

    task and units must pickle. The task calls `at(image_id)` before each image; `step` is called with the number of
    images begun since its last call. spare(unit, shared_name, cause): returns the unit to continue with after a worker
    died twice at the same image, given as `shared_name(image_id)`; cause is a signal's name or "exit code N". The first
    death may be a transient machine failure, so the shard is retried as it is. A worker that uses more than image_cpu_s
    of CPU time for one image (None: IMAGE_CPU_S) is ended by SIGPROF. Without `spare` the first death ends the work.
    image_cpu_s = 0 is for work that decodes nothing from outside: it has no limit, and without `spare` a single worker
    or shard is processed in this process. little: the work takes no longer than a new process takes to load its
    libraries, so that workers are forked if possible. Raises the task's PipelineError; Interrupted when a worker was
    killed; CodeFailed for a defect in the task (its traceback is printed).
    """
    limit_s = cpu_clock.IMAGE_CPU_S if image_cpu_s is None else image_cpu_s
    n_workers = min(workers, len(units))
    if not units:
        return
    if n_workers <= 1 and spare is None and not limit_s:
        yield from _work_here(task, units, step)
        return
    pool = Pool(task, n_workers, spare, forked=little or n_workers == 1, image_cpu_s=limit_s)
    try:
        yield from _share_out(pool, units, step)
    finally:
        pool.end()


def shared_name(image_id: str) -> str:
    """Return the image_id, or its beginning and sha256 if it is too long: a key of up to 4,095 bytes."""
    raw = image_id.encode()
    if len(raw) < NAME_BYTES:
        return image_id
    mark = f"...sha256:{hashlib.sha256(raw).hexdigest()}"
    return raw[: NAME_BYTES - 1 - len(mark)].decode(errors="ignore") + mark


class WorkerPlace(ctypes.Structure):
    """The progress of a process, in memory shared with the parent, which can read it even after a kill."""

    _fields_ = (("begun", ctypes.c_uint64), ("image_id", ctypes.c_char * NAME_BYTES))

    def at(self, image_id: str) -> None:
        self.image_id = shared_name(image_id).encode()
        self.begun += 1

    def of(self, shard: str) -> str:
        """Return the shard and its image, for messages."""
        image_id = self.image_id.decode(errors="replace")
        return f"shard {shard}, {image_id}" if image_id else f"shard {shard}"


class Worker:
    """One process and its shard.

    For long work it is spawned: a forked child could inherit a lock that one of our threads held. For little work, or a
    single worker that only isolates us from crashes, it is forked before we have threads that matter, which saves the
    2 s for loading the libraries.
    """

    def __init__(self, task: Callable[[Any, At], Any], *, forked: bool, image_cpu_s: float) -> None:
        context: Any = multiprocessing.get_context("fork" if forked else "spawn")
        self.pipe, far_end = context.Pipe()
        self.place: WorkerPlace = context.RawValue(WorkerPlace)
        arguments = (task, far_end, self.place, os.getpid(), image_cpu_s)
        self.process: BaseProcess = context.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        far_end.close()  # so that the death of the worker closes the pipe
        self.shard, self.unit = "", None

    def give(self, shard: str, unit: Any) -> None:
        self.shard, self.unit = shard, unit
        self.pipe.send((shard, unit))

    def take(self) -> Any:
        """Receive the answer. Raises the task's error; EOFError if the process has died."""
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


class Pool:
    """The workers, and the images at which workers have died."""

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
        self.new_worker = partial(
            Worker, task, forked=forked and sys.platform == "linux", image_cpu_s=image_cpu_s
        )
        self.workers = [self.new_worker() for _ in range(n_workers)]
        self.deaths: collections.Counter[tuple[str, str]] = collections.Counter()
        self.losses: collections.Counter[str] = collections.Counter()
        self.begun_by_the_dead = 0

    def another(self) -> Worker:
        """Start one more worker."""
        self.workers.append(self.new_worker())
        return self.workers[-1]

    def begun(self) -> int:
        return self.begun_by_the_dead + sum(int(worker.place.begun) for worker in self.workers)

    def replace(self, dead: Worker) -> Worker:
        """Start a new worker with the shard of the dead one. Raises Interrupted if that cannot help."""
        cause, image_id = dead.cause_of_death(), dead.place.image_id.decode(errors="replace")
        unit, suspect = dead.unit, (dead.shard, image_id)
        self.losses[dead.shard] += 1
        self.deaths[suspect] += 1
        # a third death at one image: it was skipped and came again, so skipping does not help
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
        worker = self.another()
        worker.give(dead.shard, unit)
        return worker

    def end(self) -> None:
        for worker in self.workers:
            worker.end()


def _work_here(
    task: Callable[[Any, At], Any], units: Mapping[str, Any], step: Step
) -> Iterator[tuple[str, Any]]:
    place = WorkerPlace()

    def at(image_id: str) -> None:
        place.at(image_id)
        step(1)

    for shard, unit in units.items():
        answer = attempt(task, unit, shard, place, at)
        if isinstance(answer, PipelineError):
            raise answer
        yield shard, answer


def _share_out(pool: Pool, units: Mapping[str, Any], step: Step) -> Iterator[tuple[str, Any]]:
    waiting = iter(units.items())
    busy: dict[Connection, Worker] = {}
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


def _serve(
    task: Callable[[Any, At], Any],
    pipe: Connection,
    place: WorkerPlace,
    parent_pid: int,
    image_cpu_s: float,
) -> None:
    """Run a worker until it is killed or its parent ends, even if that happens before the worker is ready."""
    die_with_parents(parent_pid)

    def at(image_id: str) -> None:
        place.at(image_id)
        cpu_clock.start_process_clock(image_cpu_s)

    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole group; the parent decides
    while True:
        shard, unit = pipe.recv()
        answer = attempt(task, unit, shard, place, at)
        cpu_clock.start_process_clock(0)
        pipe.send(answer)


def attempt(
    task: Callable[[Any, At], Any], unit: Any, shard: str, place: WorkerPlace, at: At
) -> Any:
    """Return the task's result or the error to raise; a defect, too, becomes a one-line error here."""
    place.image_id = b""
    try:
        return task(unit, at)
    except PipelineError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever our code raises
        return unforeseen(error, file=place.of(shard))


def _killed(place: str, cause: str) -> Interrupted:
    remedy = "probably out of memory: set PERENNIAL_WORKERS to fewer workers and run again; finished work is kept"
    if cause == "SIGPROF":
        remedy = (
            f"it used more than {cpu_clock.IMAGE_CPU_S:.0f} s of CPU time: remove {OF_INSPECT} and run "
            "`dvc repro --force inspect`, which skips it"
        )
    return Interrupted("a worker process was killed", file=place, value=cause, remedy=remedy)
