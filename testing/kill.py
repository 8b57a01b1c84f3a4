"""kill -9 a stage, or the dvc above it, in the middle of its work, and see who is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from testing.checkout import Checkout

GRACE_S = 5.0  # what the project promises: no process of the run is alive after that
START_LIMIT_S = 300.0


@dataclass(frozen=True)
class Killed:
    """hit: the victim was still at work. left: who was alive after the grace. ended_s: when the last had gone."""

    stage: str
    victim: str
    hit: bool
    left: tuple[str, ...]
    ended_s: float


def kill_during(
    checkout: Checkout,
    stage: str,
    *,
    victim: Literal["stage", "dvc"],
    after_s: float,
    grace_s: float = GRACE_S,
) -> Killed:
    """Start `dvc repro`; when `stage` has worked for `after_s`, kill -9 the victim and wait for the rest to end."""
    with (checkout.folder.parent / "killed.log").open("a") as log:
        dvc = subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro"],
            cwd=checkout.folder,
            env=checkout.environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        pid = _wait_for(stage, checkout, dvc)
        time.sleep(after_s)
        hit = is_alive(pid)
        if hit:
            os.kill(dvc.pid if victim == "dvc" else pid, signal.SIGKILL)
        elif (
            dvc.poll() is None
        ):  # the stage was quicker than we: nothing to see, but the run must end
            dvc.kill()
        began = time.monotonic()
        dvc.wait(timeout=60)  # reaped; a dvc whose stage died ends by itself
    while (left := working_in(checkout.folder)) and time.monotonic() - began < grace_s:
        time.sleep(0.1)
    return Killed(stage, victim, hit, tuple(left.values()), round(time.monotonic() - began, 1))


def working_in(folder: Path) -> dict[int, str]:
    """Command line by pid of every process that works in a folder."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder:
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ").strip()
        except OSError:
            continue  # gone meanwhile, or not ours
    return {pid: command for pid, command in found.items() if command}  # a zombie has none


def _wait_for(stage: str, checkout: Checkout, dvc: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and dvc.poll() is None:
        for pid, command in working_in(checkout.folder).items():
            if command.endswith(f"-m pipeline_lib.stage {stage}") and "sh -c" not in command:
                return pid
        time.sleep(0.05)
    assert dvc.poll() is not None, f"{stage} did not begin within {START_LIMIT_S:.0f} s"
    return 0  # the line was done without it


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    if not pid:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
