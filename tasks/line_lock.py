"""One run at a time for the whole line: a file lock held by the run's own process.

The kernel releases it however that process ends, so a dead run blocks nobody. Waiting runs are recorded, and the one
that has waited longest comes next.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import BaseFileLock, Timeout

from pipeline_lib.files.atomic import private_folder
from pipeline_lib.files.process_lock import process_lock
from tasks.process_group import put_on_record, recorded_pid
from tasks.workspace import FLOW

LOOK_EVERY_S = 1.0


class LineTaken(Exception):
    """Another run holds the line or waits for it, and this one was not to wait. holder: the name of that run."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"run {holder} holds the line")
        self.holder = holder


@contextlib.contextmanager
def holding_the_line(
    state: Path, run: str, *, waits: bool, on_wait: Callable[[str], None]
) -> Iterator[None]:
    """Hold the line while the block runs.

    waits: False raises LineTaken if the line is not free. on_wait: called with the run waited for, whenever it changes.
    """
    private_folder(state)
    record = _waiting(state) / f"{run}.json"
    lock = process_lock(_lock_file(state))
    try:
        try:
            if waits:
                put_on_record(os.getpid(), record)
            _take(lock, state, run, waits=waits, on_wait=on_wait)
            put_on_record(os.getpid(), state / "running" / run / FLOW)
            _name_holder(state, run)
        finally:
            record.unlink(missing_ok=True)
        yield
    finally:
        if lock.is_locked:
            _name_holder(state, "")
        lock.release()


def holder_of_line(state: Path) -> str | None:
    """Return the run that holds the line, None while it is free."""
    try:
        run = _lock_file(state).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return run if run and recorded_pid(state / "running" / run / FLOW) else None


def waiting_for_line(state: Path) -> list[str]:
    """Return the runs that wait for the line, in order of arrival."""
    return sorted(record.stem for record in _waiting(state).glob("*.json") if recorded_pid(record))


def _take(
    lock: BaseFileLock, state: Path, run: str, *, waits: bool, on_wait: Callable[[str], None]
) -> None:
    told = None
    while True:
        earlier = [
            one for one in waiting_for_line(state) if one < run or not waits
        ]  # names begin with a time
        if not earlier and _acquired(lock):
            return
        holder = holder_of_line(state) or next(iter(earlier), "another")
        if not waits:
            raise LineTaken(holder)
        if holder != told:
            on_wait(holder)
            told = holder
        time.sleep(LOOK_EVERY_S)


def _acquired(lock: BaseFileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _name_holder(state: Path, run: str) -> None:
    """Name the holder in the lock file itself, written in place: a lock belongs to an inode."""
    _lock_file(state).write_text(run, encoding="utf-8")


def _lock_file(state: Path) -> Path:
    return state / "line.lock"


def _waiting(state: Path) -> Path:
    return state / "waiting"
