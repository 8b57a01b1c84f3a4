"""Sources on a real S3 server (moto, on loopback): discover and download, and what goes wrong on S3."""

from __future__ import annotations

import io
import re
import shutil
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import boto3
import pytest
from botocore.credentials import RefreshableCredentials
from moto.server import ThreadedMotoServer
from PIL import Image

from pipeline_lib.discover.listing import list_sources
from pipeline_lib.errors import (
    ArchiveDamaged,
    BadData,
    ConfigError,
    CredentialsRefused,
    ObjectRefused,
    ServiceUnavailable,
    SourceChanged,
    SourceMissing,
)
from pipeline_lib.settings import Settings
from pipeline_lib.sources import arriving, object_bytes, s3, s3_bucket
from pipeline_lib.sources.arriving import Arriving
from pipeline_lib.sources.objects import SourceObject
from pipeline_lib.sources.places import BucketPlace, s3_place
from pipeline_lib.sources.source import Source
from pipeline_lib.survey import survey
from testing.sources import SMALL_SHARDS, Taken, images, take_sources, tar_of
from tests.support.certificates import own_authority
from tests.support.flaky_proxy import (
    WHOLE,
    Busy,
    Cut,
    Drop,
    Fault,
    FlakyProxy,
    Request,
    Short,
    Without,
)

pytestmark = pytest.mark.service
BUCKET = "images"


@dataclass(frozen=True)
class Server:
    """A server with one empty bucket."""

    url: str
    client: Any

    def put(self, files: dict[str, bytes], prefix: str = "") -> None:
        for name, data in files.items():
            self.client.put_object(Bucket=BUCKET, Key=prefix + name, Body=data)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    url = f"http://{host}:{port}"
    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
    )
    yield Server(url, session.client("s3", endpoint_url=url))
    moto.stop()


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    # moto keeps its buckets by process: other files of tests may have left some, and must find none
    reset = HttpRequest(f"{running.url}/moto-api/reset", method="POST")
    urlopen(reset).close()
    running.client.create_bucket(Bucket=BUCKET)
    yield running
    urlopen(reset).close()


@pytest.fixture
def take(server: Server, tmp_path: Path) -> Callable[..., Taken]:
    def take(source: dict[str, Any], out: str = "out", **settings: Any) -> Taken:
        chosen = Settings(**{"workers": 2, "s3_endpoint_url": server.url, **settings})
        return take_sources(tmp_path, (source,), out=out, params=SMALL_SHARDS, settings=chosen)

    return take


def listed(uri: str, url: str | None, **settings: Any) -> Any:
    return list_sources(
        (Source(name="pics", uri=uri),), Settings(s3_endpoint_url=url, **settings), root=Path()
    ).frame


def test_a_prefix_is_listed_packed_and_read_back(
    server: Server, take: Callable[..., Taken]
) -> None:
    files = images(12)
    server.put(files, "set/")
    server.put({"set-old/9/other.jpg": b"other", "set/": b"", "set/0/caf\u00e9 #1.jpg": b"name"})

    taken = take({"uri": f"s3://{BUCKET}/set"})

    assert {name: taken.read(f"pics/{name}") for name in files} == files
    assert taken.read("pics/0/caf\u00e9 %231.jpg") == b"name"
    assert len(taken.members) == 13
    assert set(taken.members["label_received"]) == {"0", "1"}


def test_every_page_of_a_long_listing_is_read(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PAGE_KEYS", 4)
    server.put({f"set/{n}.jpg": b"" for n in range(10)})

    assert len(listed(f"s3://{BUCKET}/set", server.url)) == 10


def test_an_unchanged_prefix_gives_the_same_bytes_with_other_workers_and_no_memo(
    server: Server, take: Callable[..., Taken], tmp_path: Path
) -> None:
    server.put(images(12), "set/")

    first = take(
        {"uri": f"s3://{BUCKET}/set"}, "first", workers=1, state_dir=tmp_path / "a"
    ).bytes_by_file()

    assert (
        take(
            {"uri": f"s3://{BUCKET}/set"}, "second", workers=4, state_dir=tmp_path / "b"
        ).bytes_by_file()
        == first
    )


def test_what_the_last_run_packed_is_not_fetched_again_even_without_a_memo(
    server: Server,
    take: Callable[..., Taken],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on another machine after `dvc pull`, or after an upgrade: the objects' ETags are still those of that run."""
    server.put(images(60), "set/")
    first = take({"uri": f"s3://{BUCKET}/set"})
    before = first.members
    first.keep()
    shutil.rmtree(tmp_path / ".perennial")
    server.client.delete_object(Bucket=BUCKET, Key="set/0/0010.jpg")
    server.put({"set/0/0020.jpg": b"replaced", "set/1/new.jpg": b"new"})
    read, fetched = BucketPlace.read, []

    def read_and_note(place: BucketPlace, wanted: SourceObject) -> bytes:
        fetched.append(wanted.key)
        return read(place, wanted)

    monkeypatch.setattr(BucketPlace, "read", read_and_note)

    after = take({"uri": f"s3://{BUCKET}/set"})

    assert sorted(fetched) == ["0/0020.jpg", "1/new.jpg"]
    assert after.read("pics/0/0020.jpg") == b"replaced" and after.read("pics/1/new.jpg") == b"new"
    changed = set(before.loc[["pics/0/0010.jpg", "pics/0/0020.jpg"], "shard"])
    assert set(before["shard"]) - set(after.members["shard"]) == changed


@pytest.mark.parametrize("piece_bytes", [arriving.PIECE_BYTES, 4096])
def test_an_archive_key_is_fetched_in_parts_and_kept_as_received(
    server: Server,
    take: Callable[..., Taken],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    piece_bytes: int,
) -> None:
    monkeypatch.setattr(arriving, "PIECE_BYTES", piece_bytes)
    files = images(40)
    archive = tar_of(tmp_path / "pics.tar", files).read_bytes()
    server.put(
        {"sets/pics.tar": archive, "sets/votes.csv": b"member,annotator,label\n0/0000.jpg,ana,0\n"}
    )

    taken = take({"uri": f"s3://{BUCKET}/sets/pics.tar", "votes": f"s3://{BUCKET}/sets/votes.csv"})

    [container] = (taken.folder / "shards").iterdir()
    assert container.read_bytes() == archive
    assert {name: taken.read(f"pics/{name}") for name in files} == files
    assert taken.votes["label"].tolist() == ["0"]


def test_a_truncated_archive_key_stops_the_run(
    server: Server, take: Callable[..., Taken], tmp_path: Path
) -> None:
    archive = tar_of(tmp_path / "pics.tar", images(40)).read_bytes()
    server.put({"pics.tar": archive[:20480]})

    with pytest.raises(
        ArchiveDamaged,
        match=rf"s3://{BUCKET}/pics.tar: the tar archive is cut off or damaged at byte 20480",
    ):
        take({"uri": f"s3://{BUCKET}/pics.tar"})


def place_and_object(server: Server, uri: str) -> tuple[BucketPlace, Any]:
    place = s3_place(uri, Settings(s3_endpoint_url=server.url))
    return place, next(iter(place.list()))


def test_an_object_put_again_after_the_listing_is_never_mixed_in(server: Server) -> None:
    server.put({"set/a.jpg": b"first"})
    place, listed_object = place_and_object(server, f"s3://{BUCKET}/set")
    server.put({"set/a.jpg": b"again"})

    expected = rf"s3://{BUCKET}/set/a.jpg: the object changed after it was listed .*412.*Remedy: run again: `dvc repro`"
    with pytest.raises(BadData, match=expected.replace("412", "PreconditionFailed")):
        place.read(listed_object)


def test_an_archive_put_again_between_two_parts_is_never_spliced(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "PIECE_BYTES", 1000)
    server.put({"pics.tar": b"a" * 5000})
    place, listed_object = place_and_object(server, f"s3://{BUCKET}/pics.tar")

    read: Callable[..., Any] = object_bytes.Objects._chunks
    n_parts = iter(range(5))

    def put_again_before_the_second(*arguments: Any) -> Any:
        if next(n_parts) == 1:  # in the reader itself: told of a part, another thread has read on
            server.put({"pics.tar": b"b" * 5000})
        return read(*arguments)

    monkeypatch.setattr(object_bytes.Objects, "_chunks", put_again_before_the_second)

    with pytest.raises(BadData, match="the object changed after it was listed"):
        place.fetch(
            listed_object,
            Arriving(tmp_path / "pics.tar", listed_object.size_bytes),
            workers=1,
            step=lambda _: None,
        )


@pytest.mark.parametrize("uri", ["set", "set.tar"])
def test_an_object_put_again_while_it_is_read_is_started_again(
    server: Server,
    take: Callable[..., Taken],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    uri: str,
) -> None:
    files = {f"set/{name}": data for name, data in images(12).items()}
    archive = tar_of(tmp_path / "set.tar", images(12)).read_bytes()
    server.put({**files, "set.tar": archive})
    again = images(12) | {"0/0000.jpg": b"better"}
    left = [
        {"set/0/0000.jpg": b"better", "set.tar": tar_of(tmp_path / "again.tar", again).read_bytes()}
    ]
    read: Callable[..., Any] = object_bytes.Objects._chunks

    one_at_a_time = threading.Lock()

    def put_again(*arguments: Any) -> Any:
        with one_at_a_time:  # other threads read no earlier than this
            if left:
                server.put(left.pop())
        return read(*arguments)

    monkeypatch.setattr(object_bytes.Objects, "_chunks", put_again)

    with pytest.raises(
        SourceChanged, match="the source changed during the run .*objects already read are kept"
    ):
        take({"uri": f"s3://{BUCKET}/{uri}"})
    taken = take({"uri": f"s3://{BUCKET}/{uri}"})

    assert taken.read("pics/0/0000.jpg") == b"better"


def test_an_object_withdrawn_after_the_listing_is_named(server: Server) -> None:
    server.put({"set/a.jpg": b"first"})
    place, listed_object = place_and_object(server, f"s3://{BUCKET}/set")
    server.client.delete_object(Bucket=BUCKET, Key="set/a.jpg")

    with pytest.raises(
        SourceMissing,
        match=rf"s3://{BUCKET}/set/a.jpg: no such object on S3 .*if it was removed just now, run",
    ):
        place.read(listed_object)


def test_a_put_again_object_is_another_version_in_the_next_run(
    server: Server, take: Callable[..., Taken]
) -> None:
    server.put(images(12), "set/")
    take({"uri": f"s3://{BUCKET}/set"}, "first")
    server.put({"set/0/0000.jpg": b"better"})

    assert take({"uri": f"s3://{BUCKET}/set"}, "second").read("pics/0/0000.jpg") == b"better"


def test_a_missing_bucket_prefix_or_archive_is_named(server: Server) -> None:
    with pytest.raises(
        SourceMissing,
        match=r"s3://no-such-bucket/x/: no such bucket \(found: NoSuchBucket .*Remedy: fix discover.sources",
    ):
        listed("s3://no-such-bucket/x", server.url)
    with pytest.raises(SourceMissing, match=rf"s3://{BUCKET}/nothing: nothing is there"):
        listed(f"s3://{BUCKET}/nothing", server.url)
    with pytest.raises(SourceMissing, match=rf"s3://{BUCKET}/gone.tar: no such object on S3"):
        listed(f"s3://{BUCKET}/gone.tar", server.url)


def test_a_wrong_endpoint_is_named_with_the_setting(server: Server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"

        with pytest.raises(
            ServiceUnavailable,
            match=r"S3 does not answer .*Remedy: check the network, .* and s3_endpoint_url in settings.toml",
        ):
            listed(f"s3://{BUCKET}/set", url)


def test_absent_credentials_and_profiles_say_how_to_log_in(
    server: Server, monkeypatch: pytest.MonkeyPatch
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
    server: Server, take: Callable[..., Taken], caplog: pytest.LogCaptureFixture
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


def gets(proxy: FlakyProxy) -> list[Request]:
    return [one for one in proxy.requests if one.method == "GET" and "list-type" not in one.path]


def only_gets(*faults: Fault | None) -> Callable[[Request], Fault | None]:
    """Faults for the reads alone, in turn."""
    left = list(faults)

    def choose(request: Request) -> Fault | None:
        is_read = request.method == "GET" and "list-type" not in request.path
        return left.pop(0) if is_read and left else None

    return choose


def place_behind(proxy: FlakyProxy, uri: str) -> tuple[BucketPlace, Any]:
    place = s3_place(uri, Settings(s3_endpoint_url=proxy.url))
    return place, next(iter(place.list()))


@pytest.mark.parametrize("fault", [Cut(4000), Drop(), Busy(503), Busy(500), Short(1)])
def test_a_transfer_that_breaks_off_goes_on_and_gives_the_same_bytes(
    server: Server, tmp_path: Path, fault: Fault
) -> None:
    data = bytes(range(256)) * 100
    server.put({"a.tar": data})

    with FlakyProxy(server.url, only_gets(fault)) as proxy:
        place, listed_object = place_behind(proxy, f"s3://{BUCKET}/a.tar")
        place.fetch(
            listed_object,
            Arriving(tmp_path / "a.tar", listed_object.size_bytes),
            workers=1,
            step=lambda _: None,
        )

        assert (tmp_path / "a.tar").read_bytes() == data
        assert len(gets(proxy)) >= 2
        assert all("If-Match" in one.headers for one in gets(proxy))


def test_a_full_disk_ends_a_transfer_at_once(server: Server) -> None:
    server.put({"a.tar": bytes(100_000)})

    with FlakyProxy(server.url, lambda _: None) as proxy:
        place, listed_object = place_behind(proxy, f"s3://{BUCKET}/a.tar")
        with pytest.raises(OSError, match="No space left on device"):
            place.fetch(
                listed_object,
                Arriving(Path("/dev/full"), listed_object.size_bytes),
                workers=1,
                step=lambda _: None,
            )
        assert len(gets(proxy)) == 1


def test_a_transfer_that_never_comes_further_ends_in_one_line(server: Server) -> None:
    server.put({"a.jpg": b"0123456789"})

    with FlakyProxy(server.url, only_gets(*[Short(1)] * 9)) as proxy:
        place, listed_object = place_behind(proxy, f"s3://{BUCKET}/")
        with pytest.raises(
            BadData,
            match=r"a.jpg: S3 sends a different size than it listed \(found: 9 instead of 10 bytes\)",
        ):
            place.read(listed_object)


def test_a_server_that_ignores_ranges_is_read_from_byte_0_and_one_that_ignores_preconditions_found_out(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "PIECE_BYTES", 1000)
    data = bytes(range(256)) * 20
    server.put({"a.tar": data})

    with FlakyProxy(server.url, lambda _: WHOLE) as proxy:
        place, listed_object = place_behind(proxy, f"s3://{BUCKET}/a.tar")
        done: list[int] = []
        place.fetch(
            listed_object,
            Arriving(tmp_path / "a.tar", listed_object.size_bytes),
            workers=2,
            step=done.append,
        )
        assert (tmp_path / "a.tar").read_bytes() == data
        assert sum(done) == len(data)
        with pytest.raises(
            ServiceUnavailable,
            match=r"the server ignores ranges .*Remedy: copy the object to a local file",
        ):
            place.read_part(listed_object, start=2, size_bytes=3)
    with FlakyProxy(server.url, lambda _: Without("If-Match")) as proxy:
        place, listed_object = place_behind(proxy, f"s3://{BUCKET}/a.tar")
        server.put({"a.tar": data[::-1]})
        with pytest.raises(SourceChanged, match="the object changed after it was listed"):
            place.read(listed_object)


@pytest.mark.parametrize(
    "key", ["a//b.jpg", "./b.jpg", "a/../b.jpg", "a%20b.jpg", "a+b c.jpg", "~b.jpg"]
)
def test_every_key_that_s3_allows_is_read(server: Server, key: str) -> None:
    server.put({f"set/{key}": b"0123456789", "set/z": b""})
    place = s3_place(f"s3://{BUCKET}/set", Settings(s3_endpoint_url=server.url))
    by_size = {one.size_bytes: one for one in place.list()}

    assert place.read(by_size[10]) == b"0123456789"
    assert place.read_part(by_size[10], start=3, size_bytes=4) == b"3456"
    assert place.read(by_size[0]) == b""


def test_keys_that_climb_or_end_in_a_slash_are_refused_by_name(
    server: Server, take: Callable[..., Taken]
) -> None:
    files = images(10)
    odd = {"../b.jpg": b"1", "/c.jpg": b"2", "0/full.jpg/": b"3", "0/empty/": b"", "0//d.jpg": b"4"}
    server.put(files | odd, "set/")

    members = take({"uri": f"s3://{BUCKET}/set"}).members

    refused = members["refusal"].dropna()
    assert sorted(refused.index) == ["pics/../b.jpg", "pics//c.jpg", "pics/0/full.jpg/"]
    assert set(refused) == {"tar_unsafe_member"}
    assert len(members) == 10 + 4, "only the marker of an empty folder is no object"


def test_credentials_that_expire_are_taken_anew_from_the_session(
    server: Server, monkeypatch: pytest.MonkeyPatch
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


def test_credentials_that_the_server_calls_expired_say_how_to_log_in(server: Server) -> None:
    server.put({"a.jpg": b"0123456789"})
    told = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"

    with FlakyProxy(server.url, only_gets(*[Busy(400, body=told)] * 9)) as proxy:
        place, listed_object = place_behind(proxy, f"s3://{BUCKET}/")
        with pytest.raises(
            CredentialsRefused,
            match=r"a.jpg: S3 refused access \(found: ExpiredToken .*aws sso login",
        ):
            place.read(listed_object)


def test_an_object_in_an_archive_tier_is_refused_by_name(server: Server) -> None:
    server.put({"a.jpg": b"0123456789"})
    told = b"<Error><Code>InvalidObjectState</Code><Message>not valid for the storage class</Message></Error>"

    with FlakyProxy(server.url, only_gets(*[Busy(403, body=told)] * 9)) as proxy:
        place, listed_object = place_behind(proxy, f"s3://{BUCKET}/")
        with pytest.raises(
            ObjectRefused, match=r"a.jpg: S3 refused .*InvalidObjectState.*archive tier"
        ):
            place.read(listed_object)


def test_a_bucket_of_another_region_is_read_there(server: Server) -> None:
    server.client.create_bucket(
        Bucket="abroad", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    server.client.put_object(Bucket="abroad", Key="a.jpg", Body=b"0123456789")

    with FlakyProxy(server.url, lambda _: None) as proxy:
        place, listed_object = place_behind(proxy, "s3://abroad/")
        assert place.read(listed_object) == b"0123456789"

        assert "/eu-west-1/s3/" in gets(proxy)[-1].headers["Authorization"]


def test_what_botocore_cannot_say_well_is_one_line_with_its_remedy(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    server: Server, take: Callable[..., Taken], monkeypatch: pytest.MonkeyPatch
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
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = own_authority(tmp_path)
    server.put({"a.jpg": b"0123456789"})

    with FlakyProxy(server.url, lambda _: None, context=context) as proxy:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
        place, listed_object = place_behind(proxy, f"s3://{BUCKET}/")
        assert place.read(listed_object) == b"0123456789"


def test_a_survey_looks_into_archives_on_s3_without_fetching_them(
    server: Server, tmp_path: Path
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (90, 70)).save(file, "PNG")
    files = {f"{label}/{n}.png": file.getvalue() for label in ("cat", "dog") for n in range(20)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    server.put(
        {
            "a/pics.tar": tar_of(tmp_path / "pics.tar", files).read_bytes(),
            "b/pics.zip": packed.getvalue(),
        }
    )

    for uri, kind in (
        (f"s3://{BUCKET}/a/pics.tar", "S3 archive"),
        (f"s3://{BUCKET}/b", "S3 prefix of 1 archives"),
    ):
        found = survey(uri, Settings(s3_endpoint_url=server.url), root=tmp_path)
        assert (found.kind, found.n_images, found.short_side_px, len(found.classes)) == (
            kind,
            40,
            70,
            2,
        )
