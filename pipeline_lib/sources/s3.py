"""S3 by boto3: sessions, translated errors, listing. A bucket and its bytes: s3_bucket.py.

Credentials come from boto3's own chain; a setting may name a profile and an endpoint. boto3 is imported only when a
source is on S3: it costs half a second.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pipeline_lib.errors import (
    ConfigError,
    CredentialsRefused,
    ObjectRefused,
    PipelineError,
    ServiceUnavailable,
    SourceChanged,
    SourceMissing,
)
from pipeline_lib.settings import Settings
from pipeline_lib.sources.authorities import TRUST, read_authorities
from pipeline_lib.sources.objects import FIX_SOURCES

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
ELSEWHERE = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "PermanentRedirect",
        "301",
        "IllegalLocationConstraintException",
    }
)
CHANGED = frozenset({"412", "PreconditionFailed"})
LOGIN = (
    "log in (`aws sso login`, `aws configure`, AWS_ACCESS_KEY_ID), or name a profile: aws_profile in settings.toml; "
    "a bucket that all may read: public_buckets there"
)
ALLOW = "allow s3:GetObject on it, or restore it from its archive tier, then `dvc repro --force download`"
CHECK_ENDPOINT = (
    "check the network, AWS_DEFAULT_REGION, and s3_endpoint_url in settings.toml (PERENNIAL_S3_ENDPOINT_URL), "
    "then run again"
)
RELIST = "run again: `dvc repro` lists the source again"


@dataclass(frozen=True)
class S3:
    """A boto3 session and its S3 client, which is thread-safe. core: botocore's session below it.

    is_public: nothing is signed.
    """

    core: Any
    session: Any
    client: Any
    settings: Settings
    is_public: bool = False

    def in_region(self, region: str) -> Any:
        """A client for a bucket of another region."""
        return _client(self.session, self.settings, region=region, is_public=self.is_public)

    def authorities(self) -> bytes:
        """The certificates that boto3 is told to trust (AWS_CA_BUNDLE, `ca_bundle` of the profile), as PEM; b"" for none."""
        named = self.core.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
        return read_authorities(Path(named), named_in="AWS_CA_BUNDLE") if named else b""


def open_s3(settings: Settings, *, is_public: bool = False) -> S3:
    """Open a session. is_public: for a bucket that is read without credentials.

    Raises CredentialsRefused when the profile does not exist.
    """
    import boto3
    import botocore.session

    with translated(settings.s3_endpoint_url or "S3"):
        core = botocore.session.Session(profile=settings.aws_profile or None)
        parsers = core.get_component("response_parser_factory")
        parsers.set_parser_defaults(timestamp_parser=_timestamp)
        session = boto3.Session(botocore_session=core)
        try:
            client = _client(session, settings, is_public=is_public)
        except ValueError as error:  # "Invalid endpoint"
            raise ConfigError(
                "an address that is none",
                file="settings.toml",
                value=error,
                remedy="write https://host:port in s3_endpoint_url, or AWS_ENDPOINT_URL where it comes from there",
            ) from error
        return S3(core, session, client, settings, is_public)


def _timestamp(text: Any) -> datetime:
    """Read a date. botocore's own parser takes a third of the time of a long listing."""
    from botocore.parsers import DEFAULT_TIMESTAMP_PARSER

    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):  # as headers write it
        return DEFAULT_TIMESTAMP_PARSER(text)  # type: ignore[no-any-return]


def _client(session: Any, settings: Settings, *, is_public: bool, region: str | None = None) -> Any:
    from botocore import UNSIGNED
    from botocore.config import Config

    retries: Any = {"mode": "standard", "total_max_attempts": TRIES}
    config = Config(
        connect_timeout=10,
        read_timeout=60,
        retries=retries,
        max_pool_connections=READS_PER_WORKER * settings.worker_count(),
        signature_version=UNSIGNED if is_public else None,
    )
    endpoint = settings.s3_endpoint_url or None
    client = session.client("s3", endpoint_url=endpoint, config=config, region_name=region)
    client.meta.events.register("before-parse.s3.ListObjectsV2", _read_contents)
    return client


def _read_contents(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    """Read the entries of a page of a listing before botocore does, which takes ten times as long for a million keys."""
    if response_dict["status_code"] != 200:
        return
    try:
        page = ElementTree.fromstring(response_dict["body"])  # noqa: S314 - as botocore does
    except ElementTree.ParseError:  # botocore says what is wrong with it
        return
    entries = [entry for entry in page if entry.tag.endswith("Contents")]
    found = []
    for entry in entries:
        said = {field.tag.rpartition("}")[2]: field.text or "" for field in entry}
        modified, size_bytes = _timestamp(said["LastModified"]), int(said["Size"])
        kept = {"Key": said["Key"], "ETag": said["ETag"]}
        found.append({**kept, "LastModified": modified, "Size": size_bytes})
    if found:
        customized_response_dict["Contents"] = found
        page[:] = [entry for entry in page if not entry.tag.endswith("Contents")]
        response_dict["body"] = ElementTree.tostring(page)


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
    except boto.SSLError as error:
        raise ServiceUnavailable(
            "no secure connection to S3", file=address, value=_cause(error), remedy=TRUST
        ) from error
    except boto.ParamValidationError as error:
        raise SourceMissing(
            "not the name of a bucket", file=address, value=_cause(error), remedy=FIX_SOURCES
        ) from error
    except (
        RecursionError
    ) as error:  # botocore looks for the bucket elsewhere, and is sent there again
        raise ServiceUnavailable(
            "S3 redirects every request", file=address, remedy=CHECK_ENDPOINT
        ) from error
    except (boto.HTTPClientError, boto.BotoCoreError) as error:
        raise ServiceUnavailable(
            "S3 does not answer as expected",
            file=address,
            value=_cause(error),
            remedy=CHECK_ENDPOINT,
        ) from error


def _cause(error: Exception) -> str:
    """A message of botocore without the query of the address and the rules of names."""
    return re.sub(r"\?[^\s\"]+", "", str(error)).partition(": Bucket name must")[0][:300]


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
    if code in ELSEWHERE:
        return ConfigError(
            "the bucket is in another region",
            file=address,
            value=found,
            remedy="set AWS_DEFAULT_REGION, or `region` of the profile in ~/.aws/config, to the bucket's region",
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
