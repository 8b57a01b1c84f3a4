"""The bytes of objects in buckets, by obstore: a third of the CPU time of boto3's own request path for many small objects.

What differs between S3 and other services is a `Bucket`: where obstore fails, it is asked for the reason, and it reads keys
that obstore cannot name where it can.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

from pipeline_lib.errors import BadData, PipelineError, ServiceUnavailable, SourceChanged
from pipeline_lib.sources.arriving import Arriving
from pipeline_lib.sources.s3 import RELIST, TRIES

WHOLE_BYTES = 8 << 20  # up to here an answer is taken at once
# Of a larger one: chunks that stay in the processor's cache; those of 8 MiB took twice the CPU time.
CHUNK_BYTES = 1 << 20
RETRIES: Any = {
    "max_retries": TRIES - 1,
    "retry_timeout": timedelta(minutes=2),
    "backoff": {
        "init_backoff": timedelta(seconds=0.5),
        "max_backoff": timedelta(seconds=15),
        "base": 2,
    },
}
TIMES = {
    "connect_timeout": "10s",
    "read_timeout": "60s",
    "timeout": "7days",
}  # the last is for a whole body


@dataclass(frozen=True)
class Wanted:
    """A range of one version of an object. etag: without quotes. whole_bytes: the size of the object."""

    key: str
    etag: str
    start: int
    size_bytes: int
    whole_bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether the range is the whole object: asked for without a range, which some servers answer wrongly."""
        return self.size_bytes == self.whole_bytes

    def rest(self, done: int) -> Wanted:
        """What is left when the first bytes are there."""
        return Wanted(
            self.key, self.etag, self.start + done, self.size_bytes - done, self.whole_bytes
        )


@dataclass(frozen=True)
class Entry:
    """An object as a listing has it. etag: without quotes."""

    key: str
    size_bytes: int
    etag: str


class Bucket(Protocol):
    """A bucket or container of a service. service: its name in messages. check: what to do if it does not answer."""

    service: str
    check: str

    def address(self, key: str) -> str:
        """The address of a key, for messages."""

    def list(self, prefix: str) -> Iterator[Entry]:
        """Every object below a prefix, which is empty or ends in a slash, and markers of folders, which do too."""

    def head(self, key: str) -> Entry:
        """The present version of one object."""

    def open_store(self) -> Any:
        """obstore's store for the bucket; None where obstore must not be used."""

    def read_otherwise(self, wanted: Wanted, check: Callable[[str, int], None]) -> Iterator[bytes]:
        """Read without obstore, with If-Match. check: to be told the answer's ETag and the size of the whole object.

        Raises Whole for the object in place of a range, BrokenOff for a transfer that ends early.
        """

    def explain(self, wanted: Wanted, error: Exception) -> None:
        """Raise why an object could not be read; return if another try may succeed."""


class Objects:
    """The objects of one bucket. Thread-safe."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket, self._store = bucket, bucket.open_store()

    def read(self, wanted: Wanted) -> bytes:
        """The bytes of a range. Raises SourceChanged, SourceMissing, ObjectRefused, CredentialsRefused, ServiceUnavailable."""
        data: bytes | bytearray = b""

        def write(chunk: Any, position: int) -> None:
            nonlocal data
            if len(chunk) == wanted.size_bytes:
                data = bytes(chunk)
                return
            parts = data if isinstance(data, bytearray) else bytearray(wanted.size_bytes)
            at = position - wanted.start
            parts[at : at + len(chunk)] = chunk
            data = parts

        try:
            self._copy(wanted, write)
        except Whole as error:
            remedy = "copy the object to a local file and name that"
            raise ServiceUnavailable(
                "the server ignores ranges",
                file=self._bucket.address(wanted.key),
                value="HTTP 200 instead of 206",
                remedy=remedy,
            ) from error
        return bytes(data)

    def fetch(
        self, whole: Wanted, arriving: Arriving, *, workers: int, step: Callable[[int], None]
    ) -> None:
        """Bring the missing pieces of an object, several at once, all of one version; from a server without ranges the
        whole, in one stream.

        step: told the bytes of each piece that is there.
        """

        def fetch(piece: range) -> int:
            part = Wanted(whole.key, whole.etag, piece.start, len(piece), whole.whole_bytes)
            self._copy(part, arriving.write)
            return len(piece)

        left = sum(map(len, arriving.missing))
        try:
            with ThreadPoolExecutor(workers) as pool:
                for size_bytes in pool.map(fetch, arriving.missing):
                    left -= size_bytes
                    step(size_bytes)
        except Whole:
            self._copy(whole, arriving.write)
            step(left)

    def _copy(self, wanted: Wanted, write: Callable[[Any, int], object]) -> None:
        """Pass a range to `write`, with each chunk's position. A transfer that breaks off goes on where it was; a whole
        object begins again at byte 0 where the server ignores ranges. Raises Whole for a part there.
        """
        from obstore.exceptions import BaseError

        done, tries_left, can_resume = 0, TRIES, True
        while done < wanted.size_bytes:
            at_first = done
            failure: Exception | None = None
            try:
                for chunk in self._chunks(wanted.rest(done)):
                    write(chunk, wanted.start + done)
                    done += len(chunk)
            except Whole:
                if not wanted.is_whole:
                    raise
                can_resume = False
            except (BaseError, FileNotFoundError, BrokenOff) as error:
                failure = error
                self._explain(wanted, error)
            if done < wanted.size_bytes:
                tries_left = (
                    TRIES if done > at_first + WHOLE_BYTES and can_resume else tries_left - 1
                )
                if not tries_left:
                    raise self._gave_up(wanted, done, failure)
                done = done if can_resume else 0

    def _chunks(self, wanted: Wanted) -> Iterator[Any]:
        """One GET with If-Match. Raises SourceChanged, BadData, Whole, BrokenOff, and what obstore raises."""
        import obstore

        if self._store is None:
            yield from self._bucket.read_otherwise(wanted, partial(self._check, wanted))
            return
        try:
            answer = obstore.get(self._store, wanted.key, options=_options(wanted))
        except ValueError:  # a key with an empty part or a dot in place of one, such as `a//b.jpg`
            yield from self._bucket.read_otherwise(wanted, partial(self._check, wanted))
            return
        meta = answer.meta  # made anew each time it is asked for
        self._check(wanted, meta["e_tag"] or "", meta["size"])
        if wanted.size_bytes <= WHOLE_BYTES:
            yield answer.bytes()
        else:
            yield from answer.stream(min_chunk_size=CHUNK_BYTES)

    def _check(self, wanted: Wanted, etag: str, whole_bytes: int) -> None:
        """Raise SourceChanged or BadData unless the answer is of the listed version, for servers that ignore If-Match."""
        if etag.strip('"') != wanted.etag:
            raise self._changed(wanted, f"ETag {etag}")
        if whole_bytes > wanted.whole_bytes:  # fewer may be a transfer that broke off
            raise self._other_size(wanted, whole_bytes)

    def _explain(self, wanted: Wanted, error: Exception) -> None:
        """Raise what the service says of the object; return if it can be read, so that another try may succeed."""
        from obstore.exceptions import PreconditionError

        if "non-partial" in str(error):
            raise Whole from error
        self._bucket.explain(wanted, error)
        if isinstance(error, PreconditionError):
            raise self._changed(wanted, short_fault(error)) from error

    def _changed(self, wanted: Wanted, found: str) -> SourceChanged:
        return SourceChanged(
            "the object changed after it was listed",
            file=self._bucket.address(wanted.key),
            value=found,
            remedy=RELIST,
        )

    def _gave_up(self, wanted: Wanted, done: int, failure: Exception | None) -> PipelineError:
        if failure is None:
            return self._other_size(wanted, wanted.start + done)
        return ServiceUnavailable(
            f"{self._bucket.service} does not answer as expected",
            file=self._bucket.address(wanted.key),
            value=short_fault(failure),
            remedy=self._bucket.check,
        )

    def _other_size(self, wanted: Wanted, found_bytes: int) -> BadData:
        return BadData(
            f"{self._bucket.service} sends a different size than it listed",
            file=self._bucket.address(wanted.key),
            value=f"{found_bytes} instead of {wanted.whole_bytes} bytes",
            remedy=RELIST,
        )


_process: int | None = None  # that has opened a store


def is_obstore_usable() -> bool:
    """Whether this process may open a store. obstore's threads do not outlive a fork: where a process that had opened one
    was forked, its child would wait for them for ever.
    """
    global _process
    _process = _process or os.getpid()
    return _process == os.getpid()


class Whole(Exception):
    """The server sends the whole object where a part was asked for."""


class BrokenOff(Exception):
    """A transfer ended early."""


def _options(wanted: Wanted) -> Any:
    options: Any = {"if_match": f'"{wanted.etag}"'}
    if not wanted.is_whole:
        options["range"] = (wanted.start, wanted.start + wanted.size_bytes)
    return options


def short_fault(error: Exception) -> str:
    """The service's own code in obstore's long message, or else the beginning of that."""
    found = re.search(r"<Code>(\w+)</Code>", str(error))
    return found[1] if found else str(error).partition("\n")[0][:300]
