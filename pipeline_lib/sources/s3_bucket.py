"""A bucket of S3. boto3 stays the base: it lists, says where the bucket is, gives and refreshes the credentials, and is
asked for the reason where obstore fails, so that every error is the one that people know.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from pipeline_lib.errors import CredentialsRefused
from pipeline_lib.sources import s3
from pipeline_lib.sources.object_bytes import (
    CHUNK_BYTES,
    RETRIES,
    TIMES,
    BrokenOff,
    Entry,
    Wanted,
    Whole,
    is_obstore_usable,
)
from pipeline_lib.sources.s3 import CHECK_ENDPOINT, LOGIN, S3, translated

# obstore asks again five minutes before; boto3 refreshes its own credentials ten minutes before they expire
CREDENTIALS_LAST = timedelta(minutes=6)


class S3Bucket:
    """A `Bucket` of S3."""

    service, check = "S3", CHECK_ENDPOINT

    def __init__(self, opened: S3, name: str) -> None:
        self._s3, self._name = opened, name

    def address(self, key: str) -> str:
        """The address of a key."""
        return f"s3://{self._name}/{key}"

    def list(self, prefix: str) -> Iterator[Entry]:
        """Every object below a prefix."""
        return map(_entry, s3.list_keys(self._s3.client, self._name, prefix))

    def head(self, key: str) -> Entry:
        """The present version of one object."""
        return _entry(s3.head(self._s3.client, self._name, key))

    def open_store(self) -> Any:
        """obstore's store for the bucket; None where boto3 must read."""
        return _store(self._s3, self._name) if is_obstore_usable() else None

    def read_otherwise(self, wanted: Wanted, check: Callable[[str, int], None]) -> Iterator[bytes]:
        """Read by boto3."""
        from botocore.exceptions import BotoCoreError, HTTPClientError

        stop = wanted.start + wanted.size_bytes
        some = {} if wanted.is_whole else {"Range": f"bytes={wanted.start}-{stop - 1}"}
        with translated(self.address(wanted.key), is_object=True):
            answer = self._s3.client.get_object(
                Bucket=self._name, Key=wanted.key, IfMatch=f'"{wanted.etag}"', **some
            )
        if some and answer["ResponseMetadata"]["HTTPStatusCode"] != 206:
            raise Whole
        total = int(answer.get("ContentRange", "").rpartition("/")[2] or answer["ContentLength"])
        check(answer["ETag"], total)
        with contextlib.closing(answer["Body"]) as body:
            try:
                yield from body.iter_chunks(CHUNK_BYTES)
            except (BotoCoreError, HTTPClientError) as error:
                raise BrokenOff(str(error)) from error

    def explain(self, wanted: Wanted, error: Exception) -> None:
        """Raise what boto3 says of the object."""
        del error
        with translated(self.address(wanted.key), is_object=True):
            self._s3.client.get_object(
                Bucket=self._name, Key=wanted.key, IfMatch=f'"{wanted.etag}"'
            )["Body"].close()


def _entry(listed: Any) -> Entry:
    return Entry(listed["Key"], listed["Size"], listed["ETag"].strip('"'))


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
        "skip_signature": s3.is_public,
        "virtual_hosted_style_request": parts.netloc.startswith(f"{bucket}."),
    }
    return S3Store(
        bucket,
        config=config,
        client_options=options,
        retry_config=RETRIES,
        credential_provider=None if s3.is_public else _credentials_of(s3, bucket),
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
