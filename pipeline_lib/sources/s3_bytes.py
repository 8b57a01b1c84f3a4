"""The bytes of S3 objects, by obstore: a third of the CPU time of boto3's own request path for many small objects.

boto3 stays the base: it says where a bucket is, gives and refreshes the credentials, and where obstore fails it is asked
for the reason, so that every error is the one that people know. Keys that obstore cannot name go through boto3 too.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from os import pwrite
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline_lib.errors import (
    BadData,
    CredentialsRefused,
    PipelineError,
    ServiceUnavailable,
    SourceChanged,
)
from pipeline_lib.sources.s3 import CHECK_ENDPOINT, LOGIN, RELIST, S3, TRIES, translated

PART_BYTES = 64 << 20
WHOLE_BYTES = 8 << 20  # up to here an answer is taken at once
CHUNK_BYTES = (
    1 << 20
)  # of a larger one: what fits the processor's cache; chunks of 8 MiB took twice the CPU time
# obstore asks again five minutes before; boto3 refreshes its own credentials ten minutes before they expire
CREDENTIALS_LAST = timedelta(minutes=6)
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


class Objects:
    """The objects of one bucket. Thread-safe.

    forks: for a process that forks others which read objects, too. obstore's threads do not outlive a fork, and it
    refuses to start in the child what the parent had: such a parent reads by boto3.
    """

    def __init__(self, s3: S3, bucket: str, *, forks: bool = False) -> None:
        self._s3, self._bucket = s3, bucket
        self._store = None if forks else _store(s3, bucket)

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
        except _Whole as error:
            remedy = "copy the object to a local file and name that"
            raise ServiceUnavailable(
                "the server ignores ranges",
                file=self._address(wanted.key),
                value="HTTP 200 instead of 206",
                remedy=remedy,
            ) from error
        return bytes(data)

    def fetch(
        self, whole: Wanted, target: Path, *, workers: int, step: Callable[[int], None]
    ) -> None:
        """Write an object to a file, in parallel parts, all of one version; from a server without ranges in one stream.

        step: told the bytes of each part that is done.
        """
        starts = range(0, whole.size_bytes, PART_BYTES)

        def fetch(start: int) -> int:
            size_bytes = min(PART_BYTES, whole.size_bytes - start)
            part = Wanted(whole.key, whole.etag, start, size_bytes, whole.whole_bytes)
            self._copy(part, write)
            return size_bytes

        with target.open("wb") as file:

            def write(chunk: Any, position: int) -> None:
                left = memoryview(chunk)
                while left:
                    written = pwrite(file.fileno(), left, position)
                    left, position = left[written:], position + written

            done = 0
            try:
                with ThreadPoolExecutor(workers) as pool:
                    for size_bytes in pool.map(fetch, starts):
                        done += size_bytes
                        step(size_bytes)
            except _Whole:
                self._copy(whole, write)
                step(whole.size_bytes - done)

    def _copy(self, wanted: Wanted, write: Callable[[Any, int], object]) -> None:
        """Pass a range to `write`, with each chunk's position. A transfer that breaks off goes on where it was; a whole
        object begins again at byte 0 where the server ignores ranges. Raises _Whole for a part there.
        """
        from botocore.exceptions import BotoCoreError, HTTPClientError
        from obstore.exceptions import BaseError

        done, tries_left, can_resume = 0, TRIES, True
        while done < wanted.size_bytes:
            at_first = done
            failure: Exception | None = None
            try:
                for chunk in self._chunks(wanted.rest(done)):
                    write(chunk, wanted.start + done)
                    done += len(chunk)
            except _Whole:
                if not wanted.is_whole:
                    raise
                can_resume = False
            except (BaseError, FileNotFoundError, BotoCoreError, HTTPClientError) as error:
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
        """One GET with If-Match. Raises SourceChanged, BadData, _Whole, and what obstore and botocore raise."""
        import obstore

        if self._store is None:
            yield from self._chunks_by_boto3(wanted)
            return
        try:
            answer = obstore.get(self._store, wanted.key, options=_options(wanted))
        except ValueError:  # a key with an empty part or a dot in place of one, such as `a//b.jpg`
            yield from self._chunks_by_boto3(wanted)
            return
        meta = answer.meta  # made anew each time it is asked for
        self._check(wanted, meta["e_tag"] or "", meta["size"])
        if wanted.size_bytes <= WHOLE_BYTES:
            yield answer.bytes()
        else:
            yield from answer.stream(min_chunk_size=CHUNK_BYTES)

    def _chunks_by_boto3(self, wanted: Wanted) -> Iterator[bytes]:
        stop = wanted.start + wanted.size_bytes
        some = {} if wanted.is_whole else {"Range": f"bytes={wanted.start}-{stop - 1}"}
        with translated(self._address(wanted.key), is_object=True):
            answer = self._s3.client.get_object(
                Bucket=self._bucket, Key=wanted.key, IfMatch=f'"{wanted.etag}"', **some
            )
        if some and answer["ResponseMetadata"]["HTTPStatusCode"] != 206:
            raise _Whole
        total = int(answer.get("ContentRange", "").rpartition("/")[2] or answer["ContentLength"])
        self._check(wanted, answer["ETag"], total)
        with contextlib.closing(answer["Body"]) as body:
            yield from body.iter_chunks(CHUNK_BYTES)

    def _check(self, wanted: Wanted, etag: str, whole_bytes: int) -> None:
        """Raise SourceChanged or BadData unless the answer is of the listed version, for servers that ignore If-Match."""
        if etag.strip('"') != wanted.etag:
            raise SourceChanged(
                "the object changed after it was listed",
                file=self._address(wanted.key),
                value=f"ETag {etag}",
                remedy=RELIST,
            )
        if whole_bytes > wanted.whole_bytes:  # fewer may be a transfer that broke off
            raise self._other_size(wanted, whole_bytes)

    def _explain(self, wanted: Wanted, error: Exception) -> None:
        """Raise what boto3 says of the object; return if it can read it, so that another try may succeed."""
        from obstore.exceptions import PreconditionError

        address = self._address(wanted.key)
        if isinstance(error, PreconditionError):
            raise SourceChanged(
                "the object changed after it was listed",
                file=address,
                value=_short(error),
                remedy=RELIST,
            ) from error
        if "non-partial" in str(error):
            raise _Whole from error
        with translated(address, is_object=True):
            self._s3.client.get_object(
                Bucket=self._bucket, Key=wanted.key, IfMatch=f'"{wanted.etag}"'
            )["Body"].close()

    def _gave_up(self, wanted: Wanted, done: int, failure: Exception | None) -> PipelineError:
        if failure is None:
            return self._other_size(wanted, wanted.start + done)
        return ServiceUnavailable(
            "S3 does not answer as expected",
            file=self._address(wanted.key),
            value=_short(failure),
            remedy=CHECK_ENDPOINT,
        )

    def _other_size(self, wanted: Wanted, found_bytes: int) -> BadData:
        return BadData(
            "S3 sends a different size than it listed",
            file=self._address(wanted.key),
            value=f"{found_bytes} instead of {wanted.whole_bytes} bytes",
            remedy=RELIST,
        )

    def _address(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"


class _Whole(Exception):
    """The server sends the whole object where a part was asked for."""


def _options(wanted: Wanted) -> Any:
    options: Any = {"if_match": f'"{wanted.etag}"'}
    if not wanted.is_whole:
        options["range"] = (wanted.start, wanted.start + wanted.size_bytes)
    return options


def _short(error: Exception) -> str:
    """S3's own code in obstore's long message, or else the beginning of that."""
    found = re.search(r"<Code>(\w+)</Code>", str(error))
    return found[1] if found else str(error).partition("\n")[0][:300]


def _store(s3: S3, bucket: str) -> Any:
    """obstore's store for a bucket, as boto3 reaches it: address and style of the host, region, certificates."""
    from obstore.store import S3Store

    with translated(f"s3://{bucket}/"):
        region = _region(s3, bucket)
        client = s3.client if region == s3.client.meta.region_name else s3.in_region(region)
        shown = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "x"})
    parts = urlsplit(shown)
    endpoint = f"{parts.scheme}://{parts.netloc}"
    options: Any = {**TIMES, "allow_http": parts.scheme == "http"}
    if authorities := s3.authorities():
        options["root_certificate"] = authorities
    config: Any = {
        "region": region,
        "endpoint": endpoint,
        "aws_endpoint_url_s3": endpoint,  # before the environment's
        "virtual_hosted_style_request": parts.netloc.startswith(f"{bucket}."),
    }
    return S3Store(
        bucket,
        config=config,
        client_options=options,
        retry_config=RETRIES,
        credential_provider=_credentials_of(s3, bucket),
    )


def _region(s3: S3, bucket: str) -> str:
    """The bucket's own region, which boto3 follows by itself and obstore must be told."""
    from botocore.exceptions import ClientError

    try:
        found = s3.client.head_bucket(Bucket=bucket).get("BucketRegion")
    except ClientError:  # it may be read and not be asked about; reading says what is wrong
        found = None
    return str(found or s3.client.meta.region_name or "us-east-1")


def _credentials_of(s3: S3, bucket: str) -> Callable[[], Any]:
    credentials = s3.session.get_credentials()
    if credentials is None:
        raise CredentialsRefused(
            "no usable AWS credentials", file=f"s3://{bucket}/", value="none found", remedy=LOGIN
        )

    def provide() -> Any:
        now = credentials.get_frozen_credentials()  # refreshed by boto3 where they expire
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": datetime.now(UTC) + CREDENTIALS_LAST,
        }

    return provide
