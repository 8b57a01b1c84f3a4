"""Where a training stands, on the disk: written whole or not at all, found again by what the stage reads.

A checkpoint lies in the state folder, is no output, and goes when the stage is done. Its key names everything that the
next step depends on; another input, parameter or line of code gives another key, and training starts from nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from pipeline_lib.atomic_files import atomic_file, remove_tree
from pipeline_lib.errors import Interrupted

log = logging.getLogger(__name__)
NAME = "checkpoint.pt"


class Checkpoints:
    """The checkpoint of one training. folder: `<state folder>/checkpoints/<key>`; every_s: seconds between two."""

    def __init__(self, folder: Path, *, every_s: float, told: threading.Event) -> None:
        self.file, self.every_s, self.told = folder / NAME, every_s, told
        self.last = time.monotonic()

    def of_round(self, number: int) -> Checkpoints:
        """Those of a further training of the same stage, which go with these."""
        return Checkpoints(self.file.parent / f"round-{number}", every_s=self.every_s, told=self.told)

    def load(self) -> dict[str, Any] | None:
        """What `save` was given last, on the CPU; None where there is nothing, or nothing that can be read."""
        if not self.file.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.file, map_location="cpu", weights_only=True)
        except Exception as error:  # noqa: BLE001 - a damaged file: torch lets errors of zip and unpickling through
            log.warning("%s cannot be read (%s): training starts from nothing", self.file, type(error).__name__)
            return None
        return state

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return self.told.is_set() or time.monotonic() - self.last >= self.every_s

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep tensors, numbers, texts, lists and dicts of them, in place of what was kept before."""
        with atomic_file(self.file) as file:
            torch.save(dict(state), file)
        self.last = time.monotonic()

    def stop_if_told(self) -> None:
        """Raises Interrupted after SIGTERM."""
        if self.told.is_set():
            what, remedy = "training was told to stop", "run again; it continues from its checkpoint"
            raise Interrupted(what, file=self.file, remedy=remedy)

    def remove(self) -> None:
        """The training is done."""
        remove_tree(self.file.parent)


@contextlib.contextmanager
def open_checkpoints(folder: Path, key: str, *, every_s: float, keep_days: int) -> Iterator[Checkpoints | None]:
    """The checkpoints of the training `key`, and SIGTERM as a wish to save and stop instead of the end.

    None, and a log line, while another process trains the very same. Those left by others go after `keep_days` days.
    """
    (folder / key).mkdir(parents=True, exist_ok=True)
    (folder / key).touch()
    _forget(folder, before=time.time() - max(keep_days, 1) * 86_400)
    with (folder / key / "lock").open("a") as lock, _told_by_sigterm() as told:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("another process trains the same at this moment: this one keeps no checkpoint")
            yield None
        else:
            yield Checkpoints(folder / key, every_s=every_s, told=told)


def key_of(facts: Mapping[str, object], files: Iterable[Path]) -> str:
    """A name for facts (as JSON) and the bytes of files, hex."""
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for file in files:
        key.update(f"\0{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return key.hexdigest()[:32]


@contextlib.contextmanager
def _told_by_sigterm() -> Iterator[threading.Event]:
    told = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: told.set())
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, before)


def _forget(folder: Path, *, before: float) -> None:
    for old in folder.glob("*"):
        if old.stat().st_mtime < before:
            remove_tree(old)
