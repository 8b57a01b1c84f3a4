"""Shards on a real Dask cluster. That inspect and convert write the same bytes there is tested beside them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from pipeline_lib.errors import (
    BadData,
    CodeFailed,
    ConfigError,
    DependencyMissing,
    Interrupted,
    ServiceUnavailable,
)
from pipeline_lib.harness.shard_engine import map_shards
from pipeline_lib.harness.shard_workers import At
from pipeline_lib.settings import Settings
from testing.served import refusing_port

LIBRARIES = ("numpy", "pillow")


def doubled(unit: int, at: At) -> tuple[int, int]:
    for number in range(unit):
        at(f"image-{number}")
    return 2 * unit, os.getpid()


def refused(unit: int, at: At) -> NoReturn:
    at("a.jpg")
    raise BadData("the file is damaged", file="a.jpg", remedy="restore it")


def broken(unit: int, at: At) -> NoReturn:
    at("a.jpg")
    raise KeyError("no such column")


def endless(unit: int, at: At) -> NoReturn:
    at("a.jpg")
    while True:
        sum(range(1000))


def many(unit: int, at: At) -> float:
    for number in range(40):
        at(f"image-{number}")
        sum(range(1_500_000))
    return time.thread_time()


def deadly(unit: int, at: At) -> NoReturn:
    os._exit(9)


@pytest.fixture
def settings(dask_address: str) -> Settings:
    return Settings(dask_address=dask_address)


def work(
    task: Callable[[int, At], Any],
    units: dict[str, int],
    settings: Settings,
    libraries: tuple[str, ...] = LIBRARIES,
) -> tuple[dict[str, Any], int]:
    steps: list[int] = []
    found = dict(
        map_shards(
            task, units, size_bytes=0, libraries=libraries, settings=settings, step=steps.append
        )
    )
    return found, sum(steps)


def test_every_shard_is_worked_on_the_cluster_and_its_images_are_counted(
    settings: Settings,
) -> None:
    found, n_images = work(doubled, {"a": 1, "b": 2, "c": 3}, settings)

    assert {shard: number for shard, (number, _) in found.items()} == {"a": 2, "b": 4, "c": 6}
    assert os.getpid() not in {pid for _, pid in found.values()}
    assert n_images == 6


def test_an_error_of_the_task_arrives_as_it_was_raised(settings: Settings) -> None:
    with pytest.raises(BadData, match=r"^a.jpg: the file is damaged. Remedy: restore it"):
        work(refused, {"a": 1}, settings)


def test_a_defect_names_the_shard_and_the_image(settings: Settings) -> None:
    with pytest.raises(CodeFailed, match=r"shard a, a.jpg: KeyError in our code"):
        work(broken, {"a": 1}, settings)


def test_a_machine_with_other_versions_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline_lib.harness.shard_engine.version", lambda name: "0.1")

    with pytest.raises(
        ConfigError, match=r"other versions.*numpy .*, not 0.1; pillow .*install requirements.lock"
    ):
        work(doubled, {"a": 1}, settings)


def test_an_image_that_takes_too_much_processor_time_ends_the_work_with_the_shards_name(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline_lib.harness.cpu_clock.IMAGE_CPU_S", 0.3)

    used_s, _ = work(many, {"a": 1}, settings)
    assert used_s["a"] > 0.3  # by all images together, which is no fault
    with pytest.raises(
        Interrupted, match=r"^shard a: several Dask workers died.*local workers name the image"
    ):
        work(endless, {"a": 1}, settings)


def test_workers_that_die_are_an_error_with_the_shards_name(settings: Settings) -> None:
    with pytest.raises(
        Interrupted, match=r"^shard a: several Dask workers died.*local workers name the image"
    ):
        work(deadly, {"a": 1}, settings)


def test_no_scheduler_is_an_error_with_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline_lib.harness.shard_engine.REACH_S", 0.2)

    with refusing_port() as port:
        with pytest.raises(
            ServiceUnavailable,
            match=rf"no Dask scheduler answers \(found: tcp://127.0.0.1:{port}\)",
        ):
            work(doubled, {"a": 1}, Settings(dask_address=f"tcp://127.0.0.1:{port}"))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)

    with pytest.raises(DependencyMissing, match=r"make setup WITH=dask"):
        work(doubled, {"a": 1}, Settings(dask_address="tcp://127.0.0.1:9"))
