"""One run at a time for the whole line: a file lock held by the run's own process.

The kernel releases it however that process ends, so a dead run holds nothing up. Runs that wait are on record, and the
one that began to wait first is the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline_lib.files.atomic import private_folder
from tasks.process_group import put_on_record, recorded_pid
from tasks.workspace import FLOW

LOOK_EVERY_S = 1.0


class LineTaken(Exception):
    """Another run holds the line, or waits for it, and this one does not wait. holder: the name of that run."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"run {holder} holds the line")
        self.holder = holder


@contextlib.contextmanager
def holding_the_line(state: Path, run: str, *, waits: bool, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the line while the block runs.

    waits: False raises LineTaken where the line is not free. on_wait: told the run to wait for, whenever that changes.
    """
    private_folder(state)
    record = _waiting(state) / f"{run}.json"
    # Python closes the file on exec: no program that a run starts holds it.
    with _lock_file(state).open("a+", encoding="utf-8") as file:
        try:
            if waits:
                put_on_record(os.getpid(), record)
            _take(file.fileno(), state, run, waits=waits, on_wait=on_wait)
            put_on_record(os.getpid(), state / "running" / run / FLOW)
            _write(file.fileno(), run)
        finally:
            record.unlink(missing_ok=True)
        try:
            yield
        finally:
            _write(file.fileno(), "")


def holder_of_line(state: Path) -> str | None:
    """The run that holds the line, None while it is free."""
    try:
        run = _lock_file(state).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return run if run and recorded_pid(state / "running" / run / FLOW) else None


def waiting_for_line(state: Path) -> list[str]:
    """The runs that wait for the line, first come first."""
    return sorted(record.stem for record in _waiting(state).glob("*.json") if recorded_pid(record))


def _take(file: int, state: Path, run: str, *, waits: bool, on_wait: Callable[[str], None]) -> None:
    told = None
    while True:
        earlier = [one for one in waiting_for_line(state) if one < run or not waits]  # names begin with a time
        if not earlier and _locked(file):
            return
        holder = holder_of_line(state) or next(iter(earlier), "another")
        if not waits:
            raise LineTaken(holder)
        if holder != told:
            on_wait(holder)
            told = holder
        time.sleep(LOOK_EVERY_S)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(file: int, run: str) -> None:
    """Name the holder in the lock file itself, which is never replaced: a lock belongs to an inode."""
    os.ftruncate(file, 0)
    os.write(file, run.encode())


def _lock_file(state: Path) -> Path:
    return state / "line.lock"


def _waiting(state: Path) -> Path:
    return state / "waiting"
