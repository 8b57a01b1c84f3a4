"""What S3 answers in place of the bytes, each as one line: credentials, regions, tiers, certificates, missing buckets."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.credentials import RefreshableCredentials

from pipeline_lib.errors import (
    ConfigError,
    CredentialsRefused,
    ObjectRefused,
    ServiceUnavailable,
    SourceMissing,
)
from pipeline_lib.settings import Settings
from pipeline_lib.sources import s3, s3_bucket
from pipeline_lib.sources.places import BucketPlace
from testing.s3_server import BUCKET, S3Server
from testing.sources import Taken, images
from tests.service.s3.asking import gets, listed, only_gets, place_at
from tests.support.certificates import own_authority
from tests.support.flaky_proxy import Busy, FlakyProxy, Request

pytestmark = pytest.mark.service


def test_a_missing_bucket_prefix_or_archive_is_named(server: S3Server) -> None:
    with pytest.raises(
        SourceMissing,
        match=r"s3://no-such-bucket/x/: no such bucket \(found: NoSuchBucket .*Remedy: fix discover.sources",
    ):
        listed("s3://no-such-bucket/x", server.url)
    with pytest.raises(SourceMissing, match=rf"s3://{BUCKET}/nothing: nothing is there"):
        listed(f"s3://{BUCKET}/nothing", server.url)
    with pytest.raises(SourceMissing, match=rf"s3://{BUCKET}/gone.tar: no such object on S3"):
        listed(f"s3://{BUCKET}/gone.tar", server.url)


def test_a_wrong_endpoint_is_named_with_the_setting(server: S3Server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"

        with pytest.raises(
            ServiceUnavailable,
            match=r"S3 does not answer .*Remedy: check the network, .* and s3_endpoint_url in settings.toml",
        ):
            listed(f"s3://{BUCKET}/set", url)


def test_absent_credentials_and_profiles_say_how_to_log_in(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        CredentialsRefused,
        match=r"no usable AWS credentials .*nobody.*Remedy: log in \(`aws sso login`",
    ):
        listed(f"s3://{BUCKET}/set", server.url, aws_profile="nobody")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(CredentialsRefused, match="no usable AWS credentials"):
        listed(f"s3://{BUCKET}/set", server.url)


@pytest.mark.parametrize(
    ("code", "status", "kind", "message"),
    [
        (
            "AccessDenied",
            403,
            CredentialsRefused,
            r"set/a.jpg: S3 refused access \(found: AccessDenied",
        ),
        ("ExpiredToken", 400, CredentialsRefused, "S3 refused access"),
        (
            "AuthorizationHeaderMalformed",
            400,
            ConfigError,
            "the bucket is in another region .*Remedy: set AWS_DEFAULT_REGION",
        ),
        (
            "InternalError",
            500,
            ServiceUnavailable,
            r"S3 answered with an error \(HTTP 500\) .*Remedy: run again later",
        ),
    ],
)
def test_an_answer_of_s3_becomes_one_line(
    code: str, status: int, kind: type[Exception], message: str
) -> None:
    """Moto refuses nobody, so the answers are S3's documented ones, through botocore's own exception."""
    from botocore.exceptions import ClientError

    answer = {
        "Error": {"Code": code, "Message": "x"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    with pytest.raises(kind, match=message), s3.translated(f"s3://{BUCKET}/set/a.jpg"):
        raise ClientError(answer, "GetObject")


def test_a_key_that_s3_refuses_is_quarantined_and_asked_for_again_next_time(
    server: S3Server, take: Callable[..., Taken], caplog: pytest.LogCaptureFixture
) -> None:
    """Moto refuses nobody, so the proxy answers for one key as S3 does."""
    server.put(images(10), prefix="set/")

    def refuse_one(request: Request) -> Busy | None:
        return Busy(403) if "0003.jpg" in request.path else None

    with FlakyProxy(server.url, refuse_one) as proxy:
        refused = take({"uri": f"s3://{BUCKET}/set"}, s3_endpoint_url=proxy.url).members["refusal"]

    assert refused.dropna().to_dict() == {"pics/1/0003.jpg": "unreadable_file"}
    assert (
        f"1 objects are unreadable: s3://{BUCKET}/set/1/0003.jpg; they are quarantined"
        in caplog.text
    )
    assert take({"uri": f"s3://{BUCKET}/set"}).members["refusal"].isna().all()


def test_credentials_that_expire_are_taken_anew_from_the_session(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy shows by which key each request was signed; botocore's own refreshing credentials give another each time."""
    monkeypatch.setattr(
        s3_bucket, "CREDENTIALS_LAST", timedelta(minutes=5)
    )  # obstore asks again before each read
    server.put({"set/a.jpg": b"first", "set/b.jpg": b"second"})
    given: list[str] = []

    def refresh() -> dict[str, str]:
        given.append(f"key{len(given)}")
        soon = datetime.now(UTC) + timedelta(seconds=1)
        return {
            "access_key": given[-1],
            "secret_key": "test",
            "token": "test",
            "expiry_time": soon.isoformat(),
        }

    with FlakyProxy(server.url, lambda _: None) as proxy:
        opened = s3.open_s3(Settings(s3_endpoint_url=proxy.url))
        opened.core._credentials = RefreshableCredentials.create_from_metadata(
            refresh(), refresh_using=refresh, method="test"
        )
        place = BucketPlace(f"s3://{BUCKET}/set", s3_bucket.S3Bucket(opened, BUCKET))
        one, two = list(place.list())

        assert place.read(one) == b"first"
        time.sleep(0.2)  # obstore asks ten times a second at most
        assert place.read(two) == b"second"

        signed = [re.search(r"Credential=(\w+)/", r.headers["Authorization"]) for r in gets(proxy)]
        keys = [found[1] for found in signed if found]
        assert len(keys) == 2 and keys[0] != keys[1] and set(keys) <= set(given)
        assert all(one.headers["X-Amz-Security-Token"] == "test" for one in gets(proxy))


def test_credentials_that_the_server_calls_expired_say_how_to_log_in(server: S3Server) -> None:
    server.put({"a.jpg": b"0123456789"})
    told = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"

    with FlakyProxy(server.url, only_gets(*[Busy(400, body=told)] * 9)) as proxy:
        place, listed_object = place_at(proxy.url, f"s3://{BUCKET}/")
        with pytest.raises(
            CredentialsRefused,
            match=r"a.jpg: S3 refused access \(found: ExpiredToken .*aws sso login",
        ):
            place.read(listed_object)


def test_an_object_in_an_archive_tier_is_refused_by_name(server: S3Server) -> None:
    server.put({"a.jpg": b"0123456789"})
    told = b"<Error><Code>InvalidObjectState</Code><Message>not valid for the storage class</Message></Error>"

    with FlakyProxy(server.url, only_gets(*[Busy(403, body=told)] * 9)) as proxy:
        place, listed_object = place_at(proxy.url, f"s3://{BUCKET}/")
        with pytest.raises(
            ObjectRefused, match=r"a.jpg: S3 refused .*InvalidObjectState.*archive tier"
        ):
            place.read(listed_object)


def test_a_bucket_of_another_region_is_read_there(server: S3Server) -> None:
    server.client.create_bucket(
        Bucket="abroad", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    server.client.put_object(Bucket="abroad", Key="a.jpg", Body=b"0123456789")

    with FlakyProxy(server.url, lambda _: None) as proxy:
        place, listed_object = place_at(proxy.url, "s3://abroad/")
        assert place.read(listed_object) == b"0123456789"

        assert "/eu-west-1/s3/" in gets(proxy)[-1].headers["Authorization"]


def test_what_botocore_cannot_say_well_is_one_line_with_its_remedy(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        SourceMissing, match=r'not the name of a bucket \(found: [^^]*"My Bucket!"\)'
    ):
        listed("s3://My Bucket!/x", server.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"an address that is none .*AWS_ENDPOINT_URL"):
        listed(f"s3://{BUCKET}/x", None)
    _, context = own_authority(tmp_path)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    with (
        FlakyProxy(server.url, lambda _: None, context=context) as proxy,
        pytest.raises(ServiceUnavailable, match=r"no secure connection .*Remedy: .*AWS_CA_BUNDLE"),
    ):
        listed(f"s3://{BUCKET}/x", proxy.url)
    with (
        FlakyProxy(server.url, lambda _: Busy(307)) as proxy,
        pytest.raises(ServiceUnavailable, match=r"S3 redirects every request"),
    ):
        listed(f"s3://{BUCKET}/x", proxy.url)


def test_a_bucket_that_all_may_read_needs_no_credentials(
    server: S3Server, take: Callable[..., Taken], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, data in images(10).items():
        server.client.put_object(Bucket=BUCKET, Key=f"set/{name}", Body=data, ACL="public-read")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with FlakyProxy(server.url, lambda _: None) as proxy:
        settings = {"s3_endpoint_url": proxy.url, "public_buckets": f"gs://x, s3://{BUCKET}"}
        taken = take({"uri": f"s3://{BUCKET}/set"}, **settings)

        assert taken.members["refusal"].isna().all() and len(taken.members) == 10
        assert gets(proxy) and not any(one.headers["Authorization"] for one in proxy.requests)


def test_the_own_authority_of_an_s3_server_is_trusted_by_both_libraries(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = own_authority(tmp_path)
    server.put({"a.jpg": b"0123456789"})

    with FlakyProxy(server.url, lambda _: None, context=context) as proxy:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
        place, listed_object = place_at(proxy.url, f"s3://{BUCKET}/")
        assert place.read(listed_object) == b"0123456789"
