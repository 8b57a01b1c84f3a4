"""Where a training stands, on the disk: written whole or not at all, found again by what the stage reads.

A checkpoint lies in the state folder, is no output, and goes when the stage is done. Its key names everything that the
next step depends on; another input, parameter or line of code gives another key, and training starts from nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
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
from typing import IO, Any

import torch

from pipeline_lib.errors import Interrupted
from pipeline_lib.files.atomic import atomic_file, remove_tree
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.train.ranks import given_by_rank_0, highest, rank, world

log = logging.getLogger(__name__)
NAME = "checkpoint.pt"
LOCK_WAIT_S = 10.0
ASK_EVERY_S = 0.5  # between two questions to all GPUs, which wait for the answer
LIBRARY = Path(__file__).parents[1]
CODE = (
    "betons", "csv_cells.py", "loader", "native", "networks", "pixels", "shards/sniff.py", "tables", "train",
    "weight_files.py",
)  # fmt: skip


class Checkpoints:
    """The checkpoint of one training. folder: from `place_for`; every_s: seconds between two; told: to stop."""

    def __init__(self, folder: Path, *, every_s: float, told: threading.Event) -> None:
        self.file, self.every_s, self.told = folder / NAME, every_s, told
        self.last = self.asked = time.monotonic()
        self.since, self.pause = 0, 1  # steps: after the last question, and from one to the next
        self.is_dear = world() > 1 and torch.cuda.is_available()

    def of_round(self, number: int) -> Checkpoints:
        """Those of a further training of the same stage, which go with these."""
        return Checkpoints(self.file.parent / f"round-{number}", every_s=self.every_s, told=self.told)

    def load(self) -> dict[str, Any] | None:
        """What `save` was given last, on the CPU; None where there is nothing, or nothing that can be read."""
        own = self.file.read_bytes() if rank() == 0 and self.file.exists() else None
        kept = given_by_rank_0(own)  # another machine may not see the file
        if kept is None:
            return None
        try:
            state: dict[str, Any] = torch.load(io.BytesIO(kept), map_location="cpu", weights_only=True)
        except Exception as error:  # noqa: BLE001 - a damaged file: torch lets errors of zip and unpickling through
            log.warning("%s cannot be read (%s): training starts from nothing", self.file, type(error).__name__)
            return None
        return state

    def due(self, step: int) -> bool:
        """Whether it is time to save, or to stop: all processes say the same."""
        self.since += 1
        if step and self.since < self.pause:
            return False
        now = time.monotonic()
        if self.is_dear:
            self.pause = max(1, int(ASK_EVERY_S * self.since / highest(now - self.asked)))
        self.since, self.asked = 0, now
        return highest(self.told.is_set() or now - self.last >= self.every_s) > 0

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep tensors, numbers, texts, lists and dicts of them, in place of what was kept before. Rank 0 writes."""
        if rank() == 0:
            with atomic_file(self.file) as file:
                torch.save(dict(state), file)
        self.last = time.monotonic()

    def stop_if_told(self) -> None:
        """Raises Interrupted in all processes when one was told to."""
        if highest(self.told.is_set()):
            what, remedy = "training was told to stop", "run again; it continues from its checkpoint"
            raise Interrupted(what, file=self.file, remedy=remedy)


@contextlib.contextmanager
def place_for(folder: Path, key: str, *, keep_days: int) -> Iterator[Path]:
    """The folder of the training `key`, for this process and those it starts. It goes at the end, if all went well.

    Those of other trainings go after `keep_days` days. Raises Interrupted while another process trains the very same.
    """
    place = folder / key
    with _locked(place):
        os.utime(place)
        _forget(folder, before=time.time() - max(keep_days, 1) * 86_400)
        yield place
        done = place.with_name(f"{key}.{os.getpid()}.done")  # who waits may make a new one while we remove this
        remove_tree(place.rename(done))


def key_of(facts: Mapping[str, object], files: Iterable[Path]) -> str:
    """A name for facts (as JSON) and the bytes of files, hex."""
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for file in files:
        key.update(f"\0{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return key.hexdigest()[:32]


def inputs_key(job: StageRun, device: torch.device) -> str:
    """The name of this training: its code, parameters, device, and every file it reads.

    Of betons the index, which holds the checksum of each picture, stands for the file.
    """
    code = [file for name in CODE for file in sorted([LIBRARY / name, *(LIBRARY / name).rglob("*")])]
    data = [file for role in sorted(job.reads) for file in sorted([job.reads[role], *job.reads[role].rglob("*")])]
    files = [file for file in (*code, *data) if file.is_file() and file.suffix not in (".beton", ".pyc", ".so")]
    facts = {"params": job.params.model_dump(mode="json"), "torch": torch.__version__, "device": device.type}
    return key_of(facts, files)


@contextlib.contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """Take SIGTERM and Ctrl-C as a wish to save and stop, which sets the event, and not as the end."""
    told, signals = threading.Event(), (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(sign, lambda *_: told.set()) for sign in signals]
    try:
        yield told
    finally:
        for sign, handler in zip(signals, before, strict=True):
            signal.signal(sign, handler)


def _locked(place: Path) -> IO[str]:
    """Make the folder, for this process alone: one that was killed with its parent may need some seconds to end."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while (lock := _try_lock(place)) is None:
        if time.monotonic() > deadline:
            what, remedy = "another process trains the very same", "wait for it to end, or stop it; then run again"
            raise Interrupted(what, file=place, remedy=remedy)
        time.sleep(0.1)
    return lock


def _try_lock(place: Path) -> IO[str] | None:
    """The lock file, ours until it is closed; None while another has it, or has just removed it with the folder."""
    place.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as opened:
        try:
            lock = opened.enter_context((place / "lock").open("a", encoding="utf-8"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(lock.fileno()), (place / "lock").stat()):
                return None
        except (BlockingIOError, FileNotFoundError):
            return None
        opened.pop_all()
        return lock


def _forget(folder: Path, *, before: float) -> None:
    for old in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # another training has just forgotten it
            if old.stat().st_mtime < before:
                remove_tree(old)
