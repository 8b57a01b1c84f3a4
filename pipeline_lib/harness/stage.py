"""Run one stage of the line: `python -m pipeline_lib.stage curate`, which is what dvc.yaml calls.

The harness reads the stage's own section of params.yaml, the settings and its paths, holds a lock on its outputs, ends
with its parent, and turns a failure into one last line plus `line/reasons/<stage>.json`.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from pipeline_lib.errors import Interrupted, PipelineError, UsageError, missing_module, unforeseen
from pipeline_lib.files.atomic import private_folder
from pipeline_lib.harness.operations import recorded
from pipeline_lib.harness.parent_watch import die_with_parents
from pipeline_lib.harness.terminal import clearing
from pipeline_lib.safe_text import log_to_stderr
from pipeline_lib.settings import Settings, load_settings

log = logging.getLogger(__name__)
REASONS = Path("line/reasons")
LOCK_WAIT_S = (
    10.0  # the stage of a killed dvc ends within a second or two; a longer wait means a live rival
)

ParamsT_co = TypeVar("ParamsT_co", bound=BaseModel, covariant=True)


@dataclass(frozen=True)
class StageRun(Generic[ParamsT_co]):
    """The one argument of a stage's `run`: its files by role, its own section of params.yaml, and the settings."""

    checkout: Path
    reads: dict[str, Path]
    writes: dict[str, Path]
    params: ParamsT_co
    settings: Settings


def run_stage(stage: str, checkout: Path) -> None:
    """Run one stage in a checkout. Raises PipelineError."""
    from pipeline_lib.code_fingerprints import check_fingerprint
    from pipeline_lib.harness.line import STAGES, read_line
    from pipeline_lib.params_file import load_section

    assert stage in STAGES, stage
    settings = load_settings(checkout)
    die_with_parents(settings.supervisor_pid)
    files = read_line(checkout).stage_files(stage)
    check_fingerprint(stage, files.reads, settings.state_folder(checkout))
    model = importlib.import_module(f"pipeline_lib.{stage}.params").PARAMS
    params = load_section(checkout / "params.yaml", stage, model)
    job = StageRun(checkout, files.reads, files.writes, params, settings)
    with (
        _sole_run(checkout, stage),
        recorded(
            private_folder(settings.state_folder(checkout)), stage, run=settings.run_in(checkout)
        ),
    ):
        run = importlib.import_module(f"pipeline_lib.{stage}.run").run
        gc.freeze()  # what was imported stays: looking for garbage in it took a tenth of `download`
        run(job)


def main(arguments: list[str]) -> int:
    """Run the stage named in `arguments`; returns the documented exit code."""
    os.environ.setdefault(
        "OMP_WAIT_POLICY", "PASSIVE"
    )  # before torch loads: spinning threads slow busy cores down tenfold
    try:
        stage = _stage_named_in(arguments)
    except UsageError as error:
        sys.stderr.write(f"stage: error[{error.code}]: {error}\n")
        return error.exit_code
    checkout = Path.cwd()
    log_to_stderr(f"{stage}: %(message)s", before=clearing())
    logging.getLogger("pipeline_lib").setLevel(logging.INFO)
    logging.captureWarnings(True)
    reason = checkout / REASONS / f"{stage}.json"
    try:
        reason.unlink(missing_ok=True)
        run_stage(stage, checkout)
    except PipelineError as error:
        failure = error
    except ModuleNotFoundError as error:
        failure = missing_module(error, file=stage)
    except KeyboardInterrupt:
        failure = Interrupted(
            "stopped by Ctrl-C", file=stage, remedy="run again; finished work is kept"
        )
    except Exception as error:  # noqa: BLE001 - the border: a defect of ours still ends in one line that says so
        failure = unforeseen(error, file=stage)
    else:
        return 0
    with contextlib.suppress(OSError):  # on a disk that is full or read-only the line alone says it
        reason.parent.mkdir(parents=True, exist_ok=True)
        reason.write_text(failure.as_json(), encoding="utf-8")
    sys.stderr.write(f"{clearing()}{stage}: error[{failure.code}]: {failure}\n")
    sys.stderr.flush()
    return failure.exit_code


def _stage_named_in(arguments: list[str]) -> str:
    """The one argument, which must be a stage's name. Raises UsageError."""
    from pipeline_lib.harness.line import STAGES

    if len(arguments) == 1 and arguments[0] in STAGES:
        return arguments[0]
    remedy = f"name one of {', '.join(STAGES)}"
    value = " ".join(arguments) or "no name"
    raise UsageError("not a stage", file="python -m pipeline_lib.stage", value=value, remedy=remedy)


@contextlib.contextmanager
def _sole_run(checkout: Path, stage: str) -> Iterator[None]:
    """Hold the lock on a stage's outputs: after `kill -9` of dvc, its stage may still be running."""
    path = checkout / REASONS / f"{stage}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                # not `process_lock`, which a fork does not hold: forked workers may write after the stage was killed
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    remedy = "wait for the other run to end, or stop it"
                    raise Interrupted(
                        "another run of this stage is writing the same outputs",
                        file=path,
                        remedy=remedy,
                    ) from None
                time.sleep(0.1)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
