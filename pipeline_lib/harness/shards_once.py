"""Run a stage's shards through its memo: only shards that no earlier run has done cost work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from pipeline_lib.harness.memo import Memo
from pipeline_lib.harness.progress import progress
from pipeline_lib.harness.shard_engine import map_shards
from pipeline_lib.harness.shard_workers import At
from pipeline_lib.settings import Settings

log = logging.getLogger(__name__)


class WorkUnit(Protocol):
    """What a stage does of one shard. memo_key: names its input, beside the stage key of the memo."""

    @property
    def memo_key(self) -> str: ...

    @property
    def folder(self) -> Path:
        """Where the task writes the unit's files."""

    @property
    def n_images(self) -> int: ...

    @property
    def size_bytes(self) -> int: ...

    def files(self) -> list[Path]:
        """The files that the task has written."""


Unit = TypeVar("Unit", bound=WorkUnit)


def run_shards_once(
    stage: str,
    task: Callable[[Unit, At], bool],
    units: Mapping[str, Unit],
    *,
    memo: Memo,
    libraries: tuple[str, ...],
    settings: Settings,
    spare: Callable[[Unit, str, str], Unit] | None = None,
    announce: Callable[[Collection[Unit]], None] | None = None,
) -> None:
    """Fill the folder of every unit, from the memo or by work; each finished shard goes into the memo at once.

    task: writes a unit's files and returns whether the memo may keep them. announce: called with the units that are
    left for work, before it begins. libraries, spare: see map_shards. Raises as map_shards and announce do.
    """
    left = {
        shard: unit for shard, unit in units.items() if not memo.restore(unit.memo_key, unit.folder)
    }
    log.info("%d shards, %d of them in the memo of earlier runs", len(units), memo.hits)
    if announce:
        announce(left.values())

    with progress(stage, "images", sum(unit.n_images for unit in left.values()), settings) as step:
        work = map_shards(
            task,
            left,
            size_bytes=sum(unit.size_bytes for unit in left.values()),
            libraries=libraries,
            settings=settings,
            step=step,
            spare=spare,
        )
        for shard, may_be_kept in work:
            if may_be_kept:
                memo.keep(left[shard].memo_key, left[shard].files())
