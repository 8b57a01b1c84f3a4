"""One image to predict: what rows call it, and how a worker gets its bytes."""

from __future__ import annotations

import io
import os
import re
import stat
import threading
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote

from pipeline_lib.errors import (
    ArchiveDamaged,
    BadData,
    CredentialsRefused,
    DependencyMissing,
    ObjectRefused,
    PipelineError,
    ServiceUnavailable,
    SourceMissing,
)
from pipeline_lib.prediction.buckets import BucketElsewhere, BucketProcess, open_bucket
from pipeline_lib.reasons import Reason
from pipeline_lib.settings import Settings
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.shards.tar_files import CHUNK_BYTES, REMEDY
from pipeline_lib.sources.objects import FIX_SOURCES, Place, SourceObject
from pipeline_lib.sources.s3 import RELIST
from pipeline_lib.sources.schemes import is_in_bucket
from pipeline_lib.sources.web.exchange import Exchange
from pipeline_lib.sources.web.urls import SIGNATURE, Origin, Url

_opening = threading.Lock()  # several threads of a process read
LOGIN = re.compile("(?<=://)[^/?#]*@")
MOST_SERVERS = 64  # whose connections a process keeps
# What places, made for the line's sources, say of what to do, and what to do here.
WORDS: Final = (
    (RELIST, "run again"),
    ("`dvc repro --force download`", "run again"),
    (FIX_SOURCES, "check the address"),
)


@dataclass(frozen=True)
class Reader:
    """What reading takes in any process. buckets, exchanges: those that are open in this one."""

    settings: Settings
    limits: ArchiveLimits
    is_in_worker: bool = False
    buckets: dict[str, Place | BucketElsewhere] = field(default_factory=dict, compare=False)
    exchanges: dict[tuple[Origin, bool], Exchange] = field(default_factory=dict, compare=False)

    def for_workers(self) -> Reader:
        """One without anything open: a connection must not be used by two processes."""
        return Reader(self.settings, self.limits, is_in_worker=True)

    def bucket(self, address: str) -> Place | BucketElsewhere:
        """The place of a bucket or prefix. Raises as `open_bucket` does, here or when it is asked for something."""
        with _opening:
            if address not in self.buckets:
                self.buckets[address] = (
                    open_bucket(address, self.settings)
                    if self.is_in_worker
                    else BucketElsewhere(address, self._bucket_process)
                )
            return self.buckets[address]

    def close(self) -> None:
        """End the process that reads buckets, if there is one."""
        self._bucket_process.end()

    @cached_property
    def _bucket_process(self) -> BucketProcess:
        return BucketProcess(self.settings)

    def exchange(self, origin: Origin, *, is_named: bool) -> Exchange:
        """What asks web servers, with connections that are kept; those of some servers, since there may be thousands."""
        key = origin, is_named
        with _opening:
            if len(self.exchanges) >= MOST_SERVERS and key not in self.exchanges:
                self.exchanges.clear()
            if key not in self.exchanges:
                trusted = frozenset({origin}) if is_named else frozenset[Origin]()
                self.exchanges[key] = Exchange(self.settings, trusted)
            return self.exchanges[key]

    def refuse_large(self, size_bytes: int, name: str) -> None:
        """Raise BadData for an image of more bytes than any has."""
        if size_bytes > self.limits.max_file_bytes:
            value = f"more than {self.limits.max_file_bytes} bytes"
            raise unusable(name, Reason.FILE_TOO_LARGE, value)


class Item(Protocol):
    """An image. is_remote: its bytes come over a network, so that several are better fetched at once."""

    @property
    def name(self) -> str:
        """What rows call it."""

    @property
    def is_remote(self) -> bool:
        """See above."""

    def read(self, reader: Reader) -> bytes:
        """Return its bytes. Raises PipelineError."""


@dataclass(frozen=True)
class LocalFile:
    """A file, a pipe (`<(curl ...)`) too. name: its path."""

    name: str
    is_remote = False

    def read(self, reader: Reader) -> bytes:
        try:
            with open(self.name, "rb", buffering=0) as file:  # noqa: PTH123 - a Path takes as long as reading
                facts = os.fstat(file.fileno())
                reader.refuse_large(facts.st_size, self.name)
                if stat.S_ISREG(facts.st_mode):
                    return file.readall()
                return self._until_the_end(file, reader)
        except OSError as error:
            raise SourceMissing(
                "cannot be read",
                file=self.name,
                value=error.strerror,
                remedy="name an image file",
            ) from error

    def _until_the_end(self, file: io.FileIO, reader: Reader) -> bytes:
        data = bytearray()
        while chunk := file.read(CHUNK_BYTES):
            data += chunk
            reader.refuse_large(len(data), self.name)
        return bytes(data)


@dataclass(frozen=True)
class Part:
    """A member that lies in a local archive as it is. crc32: what the archive states, where it does."""

    name: str
    path: Path
    offset_bytes: int
    size_bytes: int
    crc32: int | None
    is_remote = False

    def read(self, reader: Reader) -> bytes:
        del reader  # its size was seen when it was found
        try:
            with self.path.open("rb", buffering=0) as file:
                data = os.pread(file.fileno(), self.size_bytes, self.offset_bytes)
        except OSError as error:
            remedy = "put it back, and run again"
            raise SourceMissing(
                "the archive can no longer be read",
                file=self.name,
                value=error.strerror,
                remedy=remedy,
            ) from error
        if self.crc32 is not None and zlib.crc32(data) != self.crc32:
            what = "a member is damaged: its checksum does not match"
            raise ArchiveDamaged(what, file=self.name, remedy=REMEDY)
        return data


@dataclass(frozen=True)
class Held:
    """An image whose bytes are here."""

    name: str
    data: bytes
    is_remote = False

    def read(self, reader: Reader) -> bytes:
        del reader
        return self.data


@dataclass(frozen=True)
class Remote:
    """An object of a bucket. key: below its address. found: as it was listed; None if it was named."""

    name: str
    address: str
    key: str
    found: SourceObject | None = None
    is_remote = True

    def read(self, reader: Reader) -> bytes:
        place = reader.bucket(self.address)
        try:
            found = self.found or place.look(SourceObject(self.key, 0))
            reader.refuse_large(found.size_bytes, self.name)
            return place.read(found)
        except PipelineError as fault:
            raise in_words_of_predict(fault) from fault


@dataclass(frozen=True)
class WebImage:
    """An image at an http:// or https:// address. is_named: by a person, so that it may lie in the own network."""

    name: str
    url: Url
    is_named: bool
    is_remote = True

    def read(self, reader: Reader) -> bytes:
        exchange = reader.exchange(self.url.origin, is_named=self.is_named)
        data = bytearray()
        try:
            version = exchange.look(self.url)
            reader.refuse_large(version.size_bytes, self.name)
            exchange.copy(
                self.url,
                version,
                start=0,
                size_bytes=version.size_bytes,
                write=data.extend,
                restart=data.clear,
            )
        except PipelineError as fault:
            raise in_words_of_predict(fault) from fault
        return bytes(data)


def web_name(address: str) -> str:
    """What rows call an address: without a password or signature, a secret that may be another one on the next day."""
    path, mark, query = LOGIN.sub("", address.strip()).partition("?")
    pairs = query.split("&")
    kept = [pair for pair in pairs if not SIGNATURE.match(unquote(pair.partition("=")[0]))]
    return f"{path}{mark}{'&'.join(kept)}" if kept else path


@dataclass(frozen=True)
class Faulty:
    """What cannot be predicted, as was seen before it was read."""

    name: str
    fault: PipelineError
    is_remote = False

    def read(self, reader: Reader) -> bytes:
        del reader
        raise self.fault


def unusable(name: str, reason: Reason, detail: str) -> BadData:
    """The fault of a file that is no image."""
    remedy = "name an image (JPEG, PNG, WebP, GIF, BMP, TIFF) that other programs can open"
    return BadData(f"not a usable image: {reason}", file=name, value=detail, remedy=remedy)


def in_words_of_predict(fault: PipelineError) -> PipelineError:
    """The fault of a place, with what to do about it here."""
    remedy = fault.remedy
    for of_line, here in WORDS:
        remedy = remedy.replace(of_line, here)
    return type(fault)(fault.what, file=fault.file, value=fault.value, remedy=remedy)


def concerns_all(fault: PipelineError, name: str) -> bool:
    """Whether a fault is the bucket's and not this object's: then each of thousands would take minutes to fail."""
    is_of_place = isinstance(fault, CredentialsRefused | DependencyMissing | ServiceUnavailable)
    return is_of_place and not isinstance(fault, ObjectRefused) and is_in_bucket(name)
