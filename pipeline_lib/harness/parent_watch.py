"""End a stage when the process that started it is gone, also after kill -9.

Two guards: the kernel's parent-death signal (Linux) for the direct parent, and a thread that checks twice a second for
a missing parent or supervisor (DVC starts a stage through a shell, which may be in between). The signal is SIGTERM,
which ends a stage at once; training saves its checkpoint first, within a grace period.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
LOOK_EVERY_S = 0.5
GRACE_S = 3.0  # dvc and Prefect send SIGKILL 5 s after their own SIGTERM


def die_with_parents(supervisor_pid: int | None = None, *, grace_s: float = GRACE_S) -> None:
    """End this process and its children when its parent, dvc above a shell, or the supervisor ends. Linux only.

    grace_s: seconds that a process that handles SIGTERM gets to end; with 0 it is killed at once.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    watched = [pid for pid in (*_ancestors_to_dvc(), supervisor_pid) if pid and pid > 1]
    born = {pid: start_time(pid) for pid in watched}
    threading.Thread(target=_watch, args=(born, grace_s), daemon=True, name="parent-watch").start()


def _watch(born: dict[int, str], grace_s: float) -> None:
    # A supervisor that is already gone has no start time, and ends us at once.
    while all(start and start_time(pid) == start for pid, start in born.items()):
        time.sleep(LOOK_EVERY_S)
    if grace_s and signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_s)
    for child in descendants(os.getpid()):
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            continue
    os.kill(os.getpid(), signal.SIGKILL)


def _ancestors_to_dvc() -> list[int]:
    """Return our parent, and also its parent if ours is only the shell that dvc started."""
    parent = os.getppid()
    shells = ("sh", "dash", "bash", "zsh", "fish", "ksh")
    return [parent, int(_stat(parent)[1])] if _name(parent) in shells else [parent]


def descendants(pid: int) -> list[int]:
    """Return all descendants of a process."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def start_time(pid: int) -> str:
    """Return a process's start time in clock ticks, "" if it is gone or a zombie. It identifies a reused pid."""
    fields = _stat(pid)
    return fields[19] if fields and fields[0] != "Z" else ""


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    """Read /proc/PID/stat from the state on (man 5 proc): [state, ppid, ..., 19: starttime]; [] if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []
