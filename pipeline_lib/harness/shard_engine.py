"""Run a stage's shards: in-process, on local cores, or on an existing Dask cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from socket import gethostname
from typing import Any, TypeVar

from pipeline_lib.errors import (
    ConfigError,
    DependencyMissing,
    Interrupted,
    PipelineError,
    ServiceUnavailable,
)
from pipeline_lib.harness import cpu_clock
from pipeline_lib.harness.shard_workers import At, Step, WorkerPlace, attempt, work_on_shards
from pipeline_lib.settings import Settings

Unit = TypeVar("Unit")
Result = TypeVar("Result")
SMALL_BYTES = (
    32_000_000  # some seconds of work; a new process takes 2 s of CPU to load its libraries
)
REACH_S = 10  # seconds to answer a first call


def map_shards(
    task: Callable[[Unit, At], Result],
    units: Mapping[str, Unit],
    *,
    size_bytes: int,
    libraries: tuple[str, ...],
    settings: Settings,
    step: Step,
    spare: Callable[[Unit, str, str], Unit] | None = None,
) -> Iterator[tuple[str, Result]]:
    """Yield (shard, task(unit, at)) as shards are done, in any order; see work_on_shards for task, step, spare.

    size_bytes: total of all images; for little work no new process is started. libraries: distributions whose version
    changes the bytes, so that machines of a cluster must have the same versions. Raises as work_on_shards does, and on
    a cluster DependencyMissing, ServiceUnavailable, ConfigError.
    """
    if settings.dask_address and units:
        return _work_on_dask(
            task, units, libraries=libraries, address=settings.dask_address, step=step
        )
    little = size_bytes <= SMALL_BYTES
    workers = (
        settings.worker_count()
        if spare and sys.platform == "linux"
        else n_workers(size_bytes, settings)
    )
    return work_on_shards(task, units, workers=workers, step=step, spare=spare, little=little)


def n_workers(size_bytes: int, settings: Settings) -> int:
    """Return the number of local workers for this many bytes of images: all cores, or one for little work."""
    return settings.worker_count() if size_bytes > SMALL_BYTES else 1


def _work_on_dask(
    task: Callable[[Unit, At], Result],
    units: Mapping[str, Unit],
    *,
    libraries: tuple[str, ...],
    address: str,
    step: Step,
) -> Iterator[tuple[str, Result]]:
    """Like work_on_shards, on Dask, which gives a dead worker's shard to another one, and gives up after the third."""
    try:
        from distributed import Client, as_completed
        from distributed.scheduler import KilledWorker
    except ModuleNotFoundError as error:
        remedy = "`make setup WITH=dask`, or unset dask_address"
        what, value = "dask_address needs a package", error.name or ""
        raise DependencyMissing(what, file="settings.toml", value=value, remedy=remedy) from error
    try:
        client = Client(address, timeout=REACH_S)
    except (OSError, ValueError) as error:
        remedy = "start `dask scheduler` there, or unset dask_address in settings.toml"
        raise ServiceUnavailable(
            "no Dask scheduler answers", file="dask_address", value=address, remedy=remedy
        ) from error
    versions = {name: version(name) for name in libraries}
    cpu_s = cpu_clock.IMAGE_CPU_S
    with client:
        futures = {
            client.submit(_there, task, unit, shard, versions, cpu_s, pure=False): shard
            for shard, unit in units.items()
        }
        for future in as_completed(list(futures)):
            shard = futures.pop(future)
            try:
                n_images, answer = future.result()
            except KilledWorker as error:
                remedy = "read that worker's log; unset dask_address and run again: local workers name the image"
                what, machine = (
                    "several Dask workers died in turn while processing this shard",
                    str(error.last_worker.address),
                )
                raise Interrupted(
                    what, file=f"shard {shard}", value=machine, remedy=remedy
                ) from error
            step(n_images)
            if isinstance(answer, PipelineError):
                raise answer
            yield shard, answer


def _there(
    task: Callable[[Any, At], Any],
    unit: Any,
    shard: str,
    versions: dict[str, str],
    image_cpu_s: float,
) -> tuple[int, Any]:
    """Run on a machine of the cluster: return the number of images, and the task's result or the error to raise.

    An image that takes too much CPU time ends Dask's worker, as one does that crashes its decoder.
    """
    differing = [
        f"{name} {version(name)}, not {ours}"
        for name, ours in versions.items()
        if version(name) != ours
    ]
    if differing:
        remedy = "install requirements.lock on every machine of the cluster"
        what = "a machine of the Dask cluster has other versions, which may write other bytes"
        return 0, ConfigError(what, file=gethostname(), value="; ".join(differing), remedy=remedy)
    place, start_clock = WorkerPlace(), cpu_clock.thread_clock()

    def at(image_id: str) -> None:
        place.at(image_id)
        start_clock(image_cpu_s)

    try:
        answer = attempt(task, unit, shard, place, at)
    finally:
        start_clock(0)
    return int(place.begun), answer
