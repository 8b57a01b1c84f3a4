"""Processes that end with the run: each is started in its own group, recorded in a file, and killed as a group.

A Prefect worker kills only the flow's group. dvc runs in its own group, so that we can kill a stubborn stage after a
grace period of 5 seconds, and so we must. The record survives `kill -9` of the flow, and the next run cleans up.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline_lib.files.atomic import write_text
from pipeline_lib.harness.parent_watch import start_time

GRACE_S = 5.0
STOPPING = threading.Event()  # set when the flow is to stop: nothing may be started or retried
_LIVE: set[subprocess.Popen[str]] = set()


@contextlib.contextmanager
def started(
    command: list[str], *, cwd: Path, environment: dict[str, str], record: Path
) -> Iterator[subprocess.Popen[str]]:
    """Start a command in its own process group; stdout and stderr come as one stream of lines.

    record: the file that names the group for `kill_recorded`. The group is killed when an exception leaves the block.
    """
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    _LIVE.add(process)
    put_on_record(process.pid, record)
    try:
        if STOPPING.is_set():  # the flow was stopped while we were starting
            kill_group(process.pid)
        yield process
        process.wait()
    except BaseException:
        kill_group(process.pid)
        process.wait()  # else each stage that was killed stays a zombie of a worker of months
        raise
    finally:
        assert process.stdout is not None
        process.stdout.close()  # a worker of months would collect one open file per stage
        _LIVE.discard(process)
        record.unlink(missing_ok=True)


def stop_all() -> None:
    """Kill every group that this process started, and prevent further starts."""
    STOPPING.set()
    for process in list(_LIVE):
        kill_group(process.pid)


def put_on_record(pid: int, record: Path) -> None:
    """Record a process so that a later `kill_recorded` finds it and does not mistake another process for it."""
    record.parent.mkdir(parents=True, exist_ok=True)
    write_text(record, json.dumps({"pid": pid, "start_time": start_time(pid)}))


def recorded_pid(record: Path) -> int | None:
    """Return the recorded pid if that very process is still alive, else None."""
    try:
        entry = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    alive = entry["start_time"] and start_time(entry["pid"]) == entry["start_time"]
    return int(entry["pid"]) if alive else None


def kill_recorded(folder: Path) -> list[int]:
    """Kill the groups recorded in a folder (their flow is gone), remove the records and return the killed pids."""
    killed = []
    for record in sorted(folder.glob("*.json")):
        if (
            pid := recorded_pid(record)
        ) and pid != os.getpid():  # not ourselves, a flow about to end
            kill_group(pid)
            killed.append(pid)
        record.unlink(missing_ok=True)
    return killed


def kill_group(pgid: int, *, grace_s: float = GRACE_S) -> None:
    """Send TERM to a process group, and KILL to processes that remain after the grace period."""
    deadline = time.monotonic() + grace_s
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(pgid, sign)
        except ProcessLookupError:
            return
        while sign == signal.SIGTERM and time.monotonic() < deadline:
            if not group_lives(pgid):
                return
            time.sleep(0.05)


def group_lives(pgid: int) -> bool:
    """Whether a process of the group still runs; zombies do not count."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, _, group = (
                (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[:3]
            )
        except OSError:  # ended while we looked
            continue
        if int(group) == pgid and state != "Z":
            return True
    return False
