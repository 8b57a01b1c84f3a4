"""How far a training has come, on the disk: written whole or not at all, found again by what the stage reads.

A checkpoint lies in the state folder, is no output, and is deleted when the stage is done. Its key names everything
that the next step depends on; another input, parameter or line of code gives another key, and training starts anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from filelock import AcquireReturnProxy, Timeout, UnixFileLock

from pipeline_lib.errors import Interrupted
from pipeline_lib.files.atomic import atomic_file, remove_tree
from pipeline_lib.files.process_lock import process_lock
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.train.distributed import broadcast_object, max_over_ranks, rank, world
from pipeline_lib.train.params import TrainParams

log = logging.getLogger(__name__)
CHECKPOINT_FILE = "checkpoint.pt"
LOCK_FILE = "lock"
LOCK_WAIT_S = 10.0
ASK_EVERY_S = 0.5  # between two questions to all GPUs, which wait for the answer
DAY_S = 86_400
NOT_READ = ".beton"  # the index, which holds the checksum of each image, stands for the file


class Checkpoints:
    """The checkpoint of one training. folder: from `place_for`; every_s: seconds between two.

    stop_requested: set when a stop was requested, by `stop_signals`.
    """

    def __init__(self, folder: Path, *, every_s: float, stop_requested: threading.Event) -> None:
        self.file = folder / CHECKPOINT_FILE
        self.every_s = every_s
        self.stop_requested = stop_requested
        self.last_saved = time.monotonic()

        # Processes on GPUs have to wait for each other to agree, so they ask each other only every few steps.
        self.asking_is_slow = world() > 1 and torch.cuda.is_available()
        self.last_asked = self.last_saved
        self.steps_since_asked = 0
        self.steps_between = 1

    def of_round(self, number: int) -> Checkpoints:
        """Checkpoints of a later self-training round."""
        folder = self.file.parent / f"round-{number}"
        return Checkpoints(folder, every_s=self.every_s, stop_requested=self.stop_requested)

    def load(self) -> dict[str, Any] | None:
        """What `save` saved last, on the CPU; None where there is nothing, or nothing that can be read."""
        # Another machine may not see the file.
        content = self.file.read_bytes() if rank() == 0 and self.file.exists() else None
        content = broadcast_object(content)
        if content is None:
            return None
        try:
            state: dict[str, Any] = torch.load(
                io.BytesIO(content), map_location="cpu", weights_only=True
            )
        except Exception as error:  # noqa: BLE001 - a damaged file: torch lets errors of zip and unpickling through
            log.warning(
                "%s cannot be read (%s): training starts from nothing",
                self.file,
                type(error).__name__,
            )
            return None
        return state

    def due(self, step: int) -> bool:
        """Whether it is time to save, or to stop: all processes say the same."""
        self.steps_since_asked += 1
        if step and self.steps_since_asked < self.steps_between:
            return False
        now = time.monotonic()
        if self.asking_is_slow:
            seconds = max_over_ranks(now - self.last_asked)
            self.steps_between = max(1, int(ASK_EVERY_S * self.steps_since_asked / seconds))
        self.steps_since_asked = 0
        self.last_asked = now
        is_due = self.stop_requested.is_set() or now - self.last_saved >= self.every_s
        return max_over_ranks(is_due) > 0

    def save(self, state: Mapping[str, Any]) -> None:
        """Save tensors, numbers, texts, lists and dicts of them, in place of the last checkpoint. Rank 0 writes."""
        if rank() == 0:
            with atomic_file(self.file) as file:
                torch.save(dict(state), file)
        self.last_saved = time.monotonic()

    def stop_if_requested(self) -> None:
        """Raises Interrupted in all processes when one of them was told to stop."""
        if max_over_ranks(self.stop_requested.is_set()):
            raise Interrupted(
                "training was told to stop",
                file=self.file,
                remedy="run again; it continues from its checkpoint",
            )


@contextlib.contextmanager
def place_for(folder: Path, key: str, *, keep_days: int) -> Iterator[Path]:
    """The folder of the training `key`, for this process and those it starts. Deleted at the end if all went well.

    Those of other trainings are deleted after `keep_days` days. Raises Interrupted while another process trains the
    very same.
    """
    place = folder / key
    with _locked(place):
        os.utime(place)
        _forget(folder, before=time.time() - max(keep_days, 1) * DAY_S)
        yield place
        # Renamed first: a waiting process may recreate it while we delete.
        done = place.with_name(f"{key}.{os.getpid()}.done")
        remove_tree(place.rename(done))


def inputs_key(job: StageRun[TrainParams], device: torch.device) -> str:
    """The name of this training: its parameters, device, and every file it reads, the fingerprint of its code too."""
    data = [file for role in sorted(job.reads) for file in _files_below(job.reads[role])]
    files = [file for file in data if file.is_file() and file.suffix != NOT_READ]
    facts = {
        "params": job.params.model_dump(mode="json"),
        "torch": torch.__version__,
        "device": device.type,
    }
    return key_of(facts, files)


def _files_below(path: Path) -> list[Path]:
    """A file, or a folder with all below it."""
    return sorted([path, *path.rglob("*")])


def key_of(facts: Mapping[str, object], files: Iterable[Path]) -> str:
    """A name for facts (as JSON) and the bytes of files, hex."""
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for file in files:
        key.update(f"\0{file.name}\0".encode())
        key.update(hashlib.sha256(file.read_bytes()).digest())
    return key.hexdigest()[:32]


@contextlib.contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Take SIGTERM and Ctrl-C as a request to save and stop, which sets the event, and not as the end."""
    requested = threading.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(sign, lambda *_: requested.set()) for sign in signals]
    try:
        yield requested
    finally:
        for sign, handler in zip(signals, before, strict=True):
            signal.signal(sign, handler)


def random_state() -> list[torch.Tensor]:
    """torch's, of the CPU and of our CUDA device: dropout draws from it."""
    states = [torch.get_rng_state()]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states.append(torch.cuda.get_rng_state())
    return states


def set_random_state(states: list[torch.Tensor]) -> None:
    """Continue from a `random_state`."""
    torch.set_rng_state(states[0])
    for state in states[1:]:
        torch.cuda.set_rng_state(state)


def _locked(place: Path) -> AcquireReturnProxy[UnixFileLock]:
    """Make the folder and hold its lock. A process that was killed with its parent may hold it some seconds longer."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        place.mkdir(parents=True, exist_ok=True)
        try:
            return process_lock(place / LOCK_FILE).acquire(
                timeout=max(0.0, deadline - time.monotonic())
            )
        except FileNotFoundError:  # the other process is done and has just removed the folder
            continue
        except Timeout:
            raise Interrupted(
                "another process runs the same training",
                file=place,
                remedy="wait for it to end, or stop it; then run again",
            ) from None


def _forget(folder: Path, *, before: float) -> None:
    """Delete what was last used before a time, in seconds since the epoch."""
    for old in folder.glob("*"):
        # Another training may have just deleted it.
        with contextlib.suppress(FileNotFoundError):
            if old.stat().st_mtime < before:
                remove_tree(old)
