"""Buckets as predict's processes read them: the workers themselves, and for their parent a process of its own.

obstore's threads do not outlive a fork: a process that has opened a store can fork none that reads buckets. So the parent,
which forks the workers, asks another process what a prefix holds and what is in an archive.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

from pipeline_lib.errors import Interrupted, missing_module
from pipeline_lib.harness.shard_workers import At, Worker
from pipeline_lib.settings import Settings
from pipeline_lib.sources.objects import Place, SourceObject
from pipeline_lib.sources.places import table_place
from pipeline_lib.sources.schemes import scheme_of

PAGE_OBJECTS = 1000  # of a listing, sent at once
Question = tuple[str, str, tuple[Any, ...], dict[str, Any]]


def open_bucket(address: str, settings: Settings) -> Place:
    """The place of an address. Raises as `open_s3` does, DependencyMissing without the packages."""
    try:
        for package in ("obstore", *(["boto3"] if scheme_of(address) == "s3" else [])):
            importlib.import_module(package)
    except ModuleNotFoundError as error:  # set-up for prediction alone leaves them out
        raise missing_module(error, file=address) from error
    return table_place(address, settings, root=Path())


class BucketProcess:
    """A process that reads buckets; it starts with the first question."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._worker: Worker | None = None
        self.number_of_listing = count()

    def ask(self, address: str, method: str, *words: Any, **told: Any) -> Any:
        """What a method of the place there returns (of `list`, a page). Raises what it raises, and Interrupted."""
        if self._worker is None:
            answers = partial(_answer, answers=_Answers(self._settings))
            self._worker = Worker(answers, forked=sys.platform == "linux", image_cpu_s=0)
        self._worker.give(address, (address, method, words, told))
        try:
            return self._worker.take()
        except EOFError:
            cause, self._worker = self._worker.cause_of_death(), None
            remedy = "run again; with --out, finished work is kept"
            raise Interrupted(
                "the process that lists buckets was killed",
                file=address,
                value=cause,
                remedy=remedy,
            ) from None

    def end(self) -> None:
        """End the process, if it was started."""
        if self._worker:
            self._worker.end()
            self._worker = None


class BucketElsewhere:
    """A prefix of a bucket that the other process reads: the part of a `Place` that listing and archives take."""

    def __init__(self, address: str, process: BucketProcess) -> None:
        self.address, self._process = address, process

    def list(self) -> Iterator[SourceObject]:
        """As in `Place`."""
        number = next(self._process.number_of_listing)
        while page := self._process.ask(self.address, "list", number):
            yield from page

    def look(self, wanted: SourceObject) -> SourceObject:
        """As in `Place`."""
        return self._process.ask(self.address, "look", wanted)  # type: ignore[no-any-return]

    def read(self, wanted: SourceObject) -> bytes:
        """As in `Place`."""
        return self._process.ask(self.address, "read", wanted)  # type: ignore[no-any-return]

    def read_part(self, wanted: SourceObject, *, start: int, size_bytes: int) -> bytes:
        """As in `Place`."""
        told = {"start": start, "size_bytes": size_bytes}
        return self._process.ask(self.address, "read_part", wanted, **told)  # type: ignore[no-any-return]


class _Answers:
    """What the other process has open: places by address, listings by number."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places: dict[str, Place] = {}
        self._listings: dict[int, Iterator[SourceObject]] = {}

    def place(self, address: str) -> Place:
        if address not in self._places:
            self._places[address] = open_bucket(address, self._settings)
        return self._places[address]

    def page(self, address: str, number: int) -> list[SourceObject]:
        """The next objects of a listing; none at its end."""
        if number not in self._listings:
            self._listings[number] = self.place(address).list()
        return list(islice(self._listings[number], PAGE_OBJECTS))


def _answer(question: Question, at: At, *, answers: _Answers) -> Any:
    del at
    address, method, words, told = question
    if method == "list":
        return answers.page(address, *words)
    return getattr(answers.place(address), method)(*words, **told)
