"""The only module that talks to S3: sessions, translated errors, listing, reading.

Credentials come from boto3's own chain; a setting may name a profile and an endpoint. boto3 is imported only when a
source is on S3: it costs half a second.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pipeline_lib.errors import (
    BadData,
    CredentialsRefused,
    ObjectRefused,
    PipelineError,
    ServiceUnavailable,
    SourceChanged,
    SourceMissing,
)
from pipeline_lib.settings import Settings

PART_BYTES = 64 << 20
PAGE_KEYS = 1000  # S3 gives no more at a time
READS_PER_WORKER = 4  # a read mostly waits for the network
TRIES = 3  # of one object or part whose transfer broke off; botocore itself retries what fails before the first byte
DENIED = frozenset(
    {
        "403",
        "AccessDenied",
        "Forbidden",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
    }
    | {"AllAccessDisabled", "TokenRefreshRequired", "RequestTimeTooSkewed"}
)
# What S3 answers when this one object may not be read: by a policy or its owner, or since it lies in an archive tier.
OBJECT_DENIED = frozenset({"403", "AccessDenied", "Forbidden", "InvalidObjectState"})
ABSENT = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchVersion"})
CHANGED = frozenset({"412", "PreconditionFailed"})
LOGIN = "log in (`aws sso login`, `aws configure`, AWS_ACCESS_KEY_ID), or name a profile: aws_profile in settings.toml"
ALLOW = "allow s3:GetObject on it, or restore it from its archive tier, then `dvc repro --force download`"
RELIST = "run again: `dvc repro` lists the source again"


def parse_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/a/b` -> ("bucket", "a/b")."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def s3_client(settings: Settings) -> Any:
    """A boto3 S3 client (thread-safe). Raises CredentialsRefused when the profile does not exist."""
    import boto3
    from botocore.config import Config

    retries: Any = {"mode": "standard", "total_max_attempts": TRIES}
    config = Config(
        connect_timeout=10,
        read_timeout=60,
        retries=retries,
        max_pool_connections=READS_PER_WORKER * settings.worker_count(),
    )
    with translated(settings.s3_endpoint_url or "S3"):
        session = boto3.Session(profile_name=settings.aws_profile or None)
        return session.client("s3", endpoint_url=settings.s3_endpoint_url or None, config=config)


@contextlib.contextmanager
def translated(address: str, *, is_object: bool = False) -> Iterator[None]:
    """Translate botocore's exceptions into ours; `address` is the object being read. No other code handles them.

    is_object: what was listed is being read, so that a refusal may be of this object alone.
    """
    from botocore import exceptions as boto

    refused = (
        boto.NoCredentialsError,
        boto.PartialCredentialsError,
        boto.CredentialRetrievalError,
        boto.ProfileNotFound,
        boto.UnauthorizedSSOTokenError,
        boto.SSOError,
    )
    try:
        yield
    except boto.ClientError as error:
        raise _translate(error.response, address, is_object=is_object) from error
    except refused as error:
        raise CredentialsRefused(
            "no usable AWS credentials", file=address, value=error, remedy=LOGIN
        ) from error
    except (boto.HTTPClientError, boto.BotoCoreError) as error:
        remedy = "check the network and s3_endpoint_url in settings.toml (PERENNIAL_S3_ENDPOINT_URL), then run again"
        raise ServiceUnavailable(
            "S3 does not answer as expected", file=address, value=error, remedy=remedy
        ) from error


def _translate(response: Any, address: str, *, is_object: bool) -> PipelineError:
    fault = response.get("Error", {})
    code, status = (
        str(fault.get("Code", "")),
        response.get("ResponseMetadata", {}).get("HTTPStatusCode"),
    )
    found = f"{code} {fault.get('Message', '')}".strip()
    if code == "NoSuchBucket":
        return SourceMissing(
            "no such bucket",
            file=address,
            value=found,
            remedy="fix discover.sources in params.yaml, or s3_endpoint_url in settings.toml",
        )
    if code in ABSENT:
        return SourceMissing(
            "no such object on S3",
            file=address,
            value=found,
            remedy=f"fix discover.sources in params.yaml; if it was removed just now, {RELIST}",
        )
    if code in CHANGED:
        return SourceChanged(
            "the object changed after it was listed", file=address, value=found, remedy=RELIST
        )
    if is_object and code in OBJECT_DENIED:
        return ObjectRefused(
            "S3 refused access to this object", file=address, value=found, remedy=ALLOW
        )
    if code in DENIED:
        return CredentialsRefused("S3 refused access", file=address, value=found, remedy=LOGIN)
    return ServiceUnavailable(
        f"S3 answered with an error (HTTP {status})",
        file=address,
        value=found,
        remedy="run again later; finished work is kept",
    )


def list_keys(client: Any, bucket: str, prefix: str) -> Iterator[Any]:
    """Every object below a prefix, as list_objects_v2 gives it (Key, Size, ETag, LastModified)."""
    with translated(f"s3://{bucket}/{prefix}"):
        for page in client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix, MaxKeys=PAGE_KEYS
        ):
            yield from page.get("Contents", ())


def head(client: Any, bucket: str, key: str) -> Any:
    """Size, ETag and date of one object, in the keys that a listing uses."""
    with translated(f"s3://{bucket}/{key}"):
        answer = client.head_object(Bucket=bucket, Key=key)
    return {
        "Key": key,
        "Size": answer["ContentLength"],
        "ETag": answer["ETag"],
        "LastModified": answer["LastModified"],
    }


def read_object(client: Any, bucket: str, key: str, *, etag: str, size_bytes: int) -> bytes:
    """The bytes of the listed version of an object. Raises SourceChanged when it changed since."""
    return _read(client, bucket, key, etag=etag, start=0, size_bytes=size_bytes, whole=True)


def read_range(
    client: Any, bucket: str, key: str, *, etag: str, start: int, size_bytes: int
) -> bytes:
    """A range of the listed version of an object."""
    return _read(client, bucket, key, etag=etag, start=start, size_bytes=size_bytes, whole=False)


def fetch_object(
    client: Any,
    bucket: str,
    key: str,
    *,
    etag: str,
    size_bytes: int,
    target: Path,
    workers: int,
    step: Callable[[int], None],
) -> None:
    """Write an object to a file, in parallel parts; every part is from the listed version, so versions never mix.

    step: told the bytes of each part that is done.
    """
    starts = range(0, size_bytes, PART_BYTES)

    def fetch(start: int) -> int:
        length = min(PART_BYTES, size_bytes - start)
        whole = length == size_bytes
        data = _read(client, bucket, key, etag=etag, start=start, size_bytes=length, whole=whole)
        return os.pwrite(file.fileno(), data, start)

    with target.open("wb") as file, ThreadPoolExecutor(workers) as pool:
        for written in pool.map(fetch, starts):
            step(written)


def _read(
    client: Any, bucket: str, key: str, *, etag: str, start: int, size_bytes: int, whole: bool
) -> bytes:
    """Send one GET with If-Match, and repeat it from the beginning if the transfer breaks off."""
    from botocore import exceptions as boto

    address = f"s3://{bucket}/{key}"
    wanted = {} if whole else {"Range": f"bytes={start}-{start + size_bytes - 1}"}
    for tries_left in reversed(range(TRIES)):
        with translated(address, is_object=True):
            try:
                answer = client.get_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"', **wanted)
                data: bytes = answer["Body"].read(size_bytes + 1)
            except (
                boto.ResponseStreamingError,
                boto.IncompleteReadError,
                boto.ReadTimeoutError,
                boto.FlexibleChecksumError,
            ):
                if tries_left:
                    continue
                raise
        if not whole and answer["ResponseMetadata"]["HTTPStatusCode"] != 206:
            remedy = "copy the object to a local file and name that"
            raise ServiceUnavailable(
                "the server ignores ranges",
                file=address,
                value="HTTP 200 instead of 206",
                remedy=remedy,
            )
        if answer["ETag"].strip('"') != etag:  # a server that ignores If-Match
            raise SourceChanged(
                "the object changed after it was listed",
                file=address,
                value=f"ETag {answer['ETag']}",
                remedy=RELIST,
            )
        if len(data) == size_bytes:
            return data
        if not tries_left:
            break
    raise BadData(
        "S3 sends a different size than it listed",
        file=address,
        value=f"{len(data)} instead of {size_bytes} bytes",
        remedy=RELIST,
    )
