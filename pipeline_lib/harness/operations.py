"""operations.jsonl in the state folder: when, where and how long stages ran, and which runs failed. DVC must not track it.

One line per stage run, and one (stage `flow`) per flow run that failed or was skipped: such a run leaves no commit.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline_lib.errors import PipelineError
from pipeline_lib.harness.gpu_watch import watched_gpus
from pipeline_lib.safe_text import shown

FILE = "operations.jsonl"
FLOW = "flow"  # in the place of a stage: a whole run


@contextlib.contextmanager
def recorded(state_folder: Path, stage: str, *, run: str) -> Iterator[None]:
    """Append a line about the stage that runs in the block. run: the name of its run; empty in a checkout."""
    started, clock = datetime.now(UTC), time.monotonic()
    failure: dict[str, str] = {}
    gpus: list[dict[str, Any]] = []
    try:
        with watched_gpus() as gpus:
            yield
    except BaseException as error:
        failure = {"error": in_words(error)}
        raise
    finally:
        used = (
            resource.getrusage(resource.RUSAGE_SELF),
            resource.getrusage(resource.RUSAGE_CHILDREN),
        )
        note(
            state_folder,
            stage=stage,
            run=run,
            started=started.isoformat(timespec="seconds"),
            wall_s=round(time.monotonic() - clock, 3),
            cpu_s=round(sum(one.ru_utime for one in used), 3),
            peak_mb=max(one.ru_maxrss for one in used) // 1024,  # of the largest process
            ok=not failure,
            host=socket.gethostname(),
            pid=os.getpid(),
            **failure,
            **({"gpus": gpus} if gpus else {}),
        )


def note(state_folder: Path, **facts: Any) -> None:
    """Append one line."""
    with (state_folder / FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")


def note_run(state_folder: Path, run: str, *, started: datetime, **facts: Any) -> None:
    """Append a line about a run that leaves no commit. facts: `error` or `skipped`, in words."""
    note(
        state_folder,
        stage=FLOW,
        run=run,
        started=started.isoformat(timespec="seconds"),
        wall_s=round((datetime.now(UTC) - started).total_seconds(), 3),
        ok=False,
        host=socket.gethostname(),
        **facts,
    )


def in_words(error: BaseException) -> str:
    """One line: what a stage or a run says last."""
    if isinstance(error, PipelineError):
        return f"error[{error.code}]: {error}"
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "stopped"
    return f"{type(error).__name__}: {' '.join(shown(str(error)).split())}"


def read_operations(state_folder: Path) -> list[dict[str, Any]]:
    """All lines, oldest first; one that a crash cut off is left out."""
    path = state_folder / FILE
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            entry = json.loads(line)
            if isinstance(entry, dict) and {"stage", "started"} <= entry.keys():
                found.append(entry)
    return found
