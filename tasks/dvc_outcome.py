"""Parse the output of `dvc repro --single-item STAGE`: outcome and progress of the stage, or why it failed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline_lib.errors import Interrupted, PipelineError, ProgramFailed, StageDied, read_reason

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
PROGRESS = re.compile(r"progress: (?P<what>\S+) (?P<done>\d+)/(?P<total>\d+) (?P<rest>.*)")
EXITED = re.compile(r"exited with (-?\d+)")


class StageOutcome(StrEnum):
    """How a stage came to be up to date; the value is the name of the Prefect state."""

    RAN = "Ran"
    FROM_CACHE = "FromCache"
    ALREADY_CURRENT = "AlreadyCurrent"


@dataclass(frozen=True)
class Progress:
    """A line of pipeline_lib.harness.progress, read back. percent: 0 to 100."""

    what: str
    percent: float
    rest: str


def plain(line: str) -> str:
    """Strip colours and the line break from a line."""
    return ANSI.sub("", line).rstrip()


def stage_outcome(line: str) -> StageOutcome | None:
    """Return the outcome that a line of dvc 3.67 reports, None for other lines."""
    if line.startswith("Running stage "):
        return StageOutcome.RAN
    if "is cached - skipping run, checking out outputs" in line:
        return StageOutcome.FROM_CACHE
    if line.startswith("Stage ") and "didn't change, skipping" in line:
        return StageOutcome.ALREADY_CURRENT
    return None


def progress_of(line: str) -> Progress | None:
    """Return the progress that a line reports, None for other lines."""
    found = PROGRESS.search(line)
    if not found:
        return None
    done, total = int(found["done"]), int(found["total"])
    return Progress(found["what"], 100.0 * done / max(total, 1), found["rest"])


def failure_of(stage: str, lines: Sequence[str], *, exit_code: int, reason: Path) -> PipelineError:
    """Return the error of a failed stage: its own reason.json, the signal that ended it, or dvc's last error.

    lines: the last lines of dvc. exit_code: dvc's own, 255 for every failure, negative when a signal ended dvc itself.
    """
    if reason.exists():
        return read_reason(reason.read_text(encoding="utf-8"))
    exited = [int(found[1]) for line in lines if (found := EXITED.search(line))]
    signal = _signal(exited[-1] if exited else exit_code)
    if signal:
        remedy = "run again; finished work is kept. An unexpected signal 9 mostly means too little memory"
        return StageDied(
            "a signal ended the stage", file=stage, value=f"signal {signal}", remedy=remedy
        )
    errors = [line for line in lines if line.startswith("ERROR: ")] or list(lines[-1:])
    said = errors[-1].removeprefix("ERROR: ") if errors else f"exit code {exit_code}"
    if "is busy, it is being blocked by" in said:
        return Interrupted(
            "another dvc process is using these files",
            file=stage,
            value=said,
            remedy="run again when it is done",
        )
    remedy = f"run `dvc repro {stage}` in the checkout and read its output"
    return ProgramFailed(
        "dvc could not bring the stage up to date", file=stage, value=said, remedy=remedy
    )


def _signal(exit_code: int) -> int:
    """Return the signal that an exit code stands for, 0 if none. A shell reports 128 + signal, Python -signal."""
    if exit_code < 0:
        return -exit_code
    return exit_code - 128 if 128 < exit_code < 192 else 0
