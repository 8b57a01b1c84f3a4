"""End a stage when the process that wants its result is gone, also after kill -9.

Two guards: the kernel's parent-death signal (Linux) for the direct parent, and a thread that looks twice a second for a
parent or supervisor that vanished (DVC starts a stage through a shell, which may stand between them). The signal is
SIGTERM, which ends a stage at once; training saves its checkpoint first, within a grace.
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
GRACE_S = 3.0  # dvc and Prefect kill what is left 5 s after their own SIGTERM


def die_with_parents(supervisor_pid: int | None = None, *, grace_s: float = GRACE_S) -> None:
    """End this process and its children when its parent, dvc above a shell, or the supervisor ends. Linux only.

    grace_s: what a process that handles SIGTERM is given for it; with 0 it is not asked.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    watched = [pid for pid in (*_ancestors_to_dvc(), supervisor_pid) if pid and pid > 1]
    born = {pid: start_time(pid) for pid in watched}
    threading.Thread(target=_watch, args=(born, grace_s), daemon=True, name="parent-watch").start()


def _watch(born: dict[int, str], grace_s: float) -> None:
    # A supervisor that was gone before we looked has no start time, and ends us at once.
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
    """Our parent, and its parent too where our parent is only the shell that dvc started."""
    parent = os.getppid()
    shells = ("sh", "dash", "bash", "zsh", "fish", "ksh")
    return [parent, int(_stat(parent)[1])] if _name(parent) in shells else [parent]


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and those that they started."""
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
    """When a process started, in clock ticks; "" for one that is gone or a zombie. Tells a reused pid apart."""
    fields = _stat(pid)
    return fields[19] if fields and fields[0] != "Z" else ""


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    """/proc/PID/stat from the state on (man 5 proc): [state, ppid, ..., 19: starttime]; [] when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []
