"""The objects of a source, and what a place of objects can do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipeline_lib.reasons import Reason
from pipeline_lib.sources.arriving import Arriving
from pipeline_lib.sources.known_files import Stamp

FIX_SOURCES = "fix discover.sources in params.yaml"
Begin = Callable[[int, int], Callable[[int], object]]


@dataclass(frozen=True, slots=True)  # there may be millions
class SourceObject:
    """One file or S3 key. key: stored name below the place. etag: of a server, without quotes.

    checksum: `sha256:<hex>` of a local file, from `Place.identify`. fault: why an existing file cannot be read; only
    this file is refused, and the run continues. stamp: of a local file; dates are no part of what an object is.
    """

    key: str
    size_bytes: int
    etag: str | None = None
    checksum: str | None = None
    fault: Reason | None = None
    stamp: Stamp | None = field(default=None, compare=False)

    @property
    def sha256(self) -> str | None:
        """The digest in the checksum, with which a place compares the bytes that it gives."""
        return self.checksum.removeprefix("sha256:") if self.checksum else None


@dataclass(frozen=True, slots=True)
class Identified:
    """An object with what names its content. was_touched: it is a local file with new dates and the same bytes."""

    object: SourceObject
    was_touched: bool = False


class Place(Protocol):
    """A place of objects. is_single: the address names one object, not a folder or prefix."""

    address: str
    is_single: bool

    def list(self) -> Iterator[SourceObject]:
        """Every object, in no particular order. Raises SourceMissing, CredentialsRefused, ServiceUnavailable."""

    def identify(
        self,
        listed: Iterable[SourceObject],
        *,
        workers: int,
        begin: Begin,
    ) -> Iterator[Identified]:
        """Yield the listed objects with an ETag or a checksum, in no order; a local file is read if it is not known.

        begin: given how many files and bytes there are to read, gives what is told of the bytes that were read.
        """

    def look(self, wanted: SourceObject) -> SourceObject:
        """Return the present version of an object. Raises SourceMissing or BadData if there is none."""

    def read(self, wanted: SourceObject) -> bytes:
        """The bytes of an object as listed, whose checksum is theirs. Raises SourceChanged if it changed, ObjectRefused."""

    def read_part(self, wanted: SourceObject, *, start: int, size_bytes: int) -> bytes:
        """Some of the bytes of an object as listed; fewer at its end."""

    def local_path(self, wanted: SourceObject) -> Path | None:
        """Return the path of the file if it is local and unchanged since the listing."""

    def fetch(
        self,
        wanted: SourceObject,
        arriving: Arriving,
        *,
        workers: int,
        step: Callable[[int], None],
    ) -> None:
        """Bring the missing pieces of an object as listed; only for objects without a local path."""
