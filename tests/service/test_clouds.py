"""Sources on emulators of Google Cloud Storage and Azure Blob Storage: discover and download, and what goes wrong there."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline_lib.discover.listing import list_sources
from pipeline_lib.errors import (
    BadData,
    CredentialsRefused,
    PipelineError,
    ServiceUnavailable,
    SourceChanged,
    SourceMissing,
)
from pipeline_lib.settings import Settings
from pipeline_lib.sources import arriving, object_bytes
from pipeline_lib.sources.places import table_place
from pipeline_lib.sources.source import Source
from pipeline_lib.survey import survey
from testing.sources import SMALL_SHARDS, Taken, images, take_sources, tar_of
from tests.support.emulators import BUCKET, Emulator, azure, google
from tests.support.flaky_proxy import Busy, Cut, FlakyProxy, Request
from tests.support.replaced_objects import put_before_the_first_read

pytestmark = pytest.mark.service
STARTS = {"gs": google, "az": azure}


@pytest.fixture(scope="module", params=["gs", "az"])
def running(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with STARTS[request.param]() as emulator:
        yield emulator


@pytest.fixture
def cloud(running: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    running.empty()
    return running


@pytest.fixture
def take(cloud: Emulator, tmp_path: Path) -> Callable[..., Taken]:
    def take(prefix: str, out: str = "out", **settings: Any) -> Taken:
        chosen = Settings(**{"workers": 2, **cloud.settings(), **settings})
        source = {"uri": cloud.uri(prefix)}
        return take_sources(tmp_path, (source,), out=out, params=SMALL_SHARDS, settings=chosen)

    return take


def place_of(cloud: Emulator, prefix: str, url: str | None = None) -> Any:
    return table_place(cloud.uri(prefix), Settings(**cloud.settings(url)), root=Path())


def refusal_of(uri: str, **settings: Any) -> PipelineError:
    with pytest.raises(PipelineError) as caught:
        list(table_place(uri, Settings(**settings), root=Path()).list())
    return caught.value


def reads(proxy: FlakyProxy) -> list[Request]:
    return [one for one in proxy.requests if one.method == "GET" and "list" not in one.path]


def test_a_prefix_is_listed_packed_and_read_back(
    cloud: Emulator, take: Callable[..., Taken]
) -> None:
    files = images(12)
    cloud.put(files, "set #1 50%/")
    cloud.put({"set #1 50%/0/caf\u00e9 +&?.jpg": b"name", "set #1 50%-old/9/other.jpg": b"other"})
    cloud.put({"set #1 50%/": b"", "set #1 50%/empty/": b"", "set #1 50%/v1.0/": b""})
    cloud.put({"set #1 50%/v1.0/a.jpg": b"of a folder with a dot"})

    taken = take("set #1 50%")

    assert {name: taken.read(f"pics/{name}") for name in files} == files
    assert taken.read("pics/0/caf\u00e9 +&?.jpg") == b"name"
    assert len(taken.members) == 14, "markers of folders are no objects"
    assert set(taken.members["label_received"]) == {"0", "1", "v1.0"}


def test_all_of_a_listing_of_several_pages_is_read(cloud: Emulator) -> None:
    """Azure gives 5,000 names at a time; fake-gcs-server all at once (tests/unit/sources/test_cloud_faults.py has pages)."""
    count, n_pages = {"gs": (1200, 1), "az": (5200, 2)}[cloud.scheme]
    cloud.put({f"many/{n:05}.jpg": b"" for n in range(count)})

    with FlakyProxy(cloud.url, lambda _: None) as proxy:
        keys = [one.key for one in place_of(cloud, "many", proxy.url).list()]

    assert keys == [f"{n:05}.jpg" for n in range(count)]
    assert len(proxy.requests) == n_pages


@pytest.mark.parametrize("piece_bytes", [arriving.PIECE_BYTES, 4096])
def test_an_archive_is_fetched_in_parts_and_kept_as_received(
    cloud: Emulator,
    take: Callable[..., Taken],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    piece_bytes: int,
) -> None:
    monkeypatch.setattr(arriving, "PIECE_BYTES", piece_bytes)
    files = images(40)
    archive = tar_of(tmp_path / "pics.tar", files).read_bytes()
    cloud.put({"sets/pics.tar": archive})

    taken = take("sets/pics.tar")

    [container] = (taken.folder / "shards").iterdir()
    assert container.read_bytes() == archive
    assert {name: taken.read(f"pics/{name}") for name in files} == files


def test_a_survey_reads_ranges_of_an_archive_and_does_not_fetch_it(
    cloud: Emulator, tmp_path: Path
) -> None:
    image, stream = io.BytesIO(), io.BytesIO()
    Image.effect_noise((200, 150), 90).save(image, "PNG")
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for number in range(120):
            info = tarfile.TarInfo(f"{('cat', 'dog')[number % 2]}/{number}.png")
            info.size = len(image.getvalue())
            archive.addfile(info, io.BytesIO(image.getvalue()))
    cloud.put({"pics.tar": stream.getvalue()})

    with FlakyProxy(cloud.url, lambda _: None) as proxy:
        settings = Settings(**cloud.settings(proxy.url))
        found = survey(cloud.uri("pics.tar"), settings, root=tmp_path)

    assert (found.kind, found.n_images, found.short_side_px) == (
        f"{cloud.service} archive",
        120,
        150,
    )
    assert all(one.headers["Range"] or one.headers["x-ms-range"] for one in reads(proxy))


def test_an_object_put_again_after_the_listing_is_never_mixed_in(cloud: Emulator) -> None:
    cloud.put({"set/a.jpg": b"first"})
    place = place_of(cloud, "set")
    [listed] = place.list()
    cloud.put({"set/a.jpg": b"again"})

    with pytest.raises(SourceChanged, match=r"set/a.jpg: the object changed after it was listed"):
        place.read(listed)
    assert place.read(place.look(listed)) == b"again"


@pytest.mark.parametrize("uri", ["set", "set.tar"])
def test_an_object_put_again_while_it_is_read_is_started_again(
    cloud: Emulator,
    take: Callable[..., Taken],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    uri: str,
) -> None:
    archive = tar_of(tmp_path / "set.tar", images(12)).read_bytes()
    cloud.put({**{f"set/{name}": data for name, data in images(12).items()}, "set.tar": archive})
    again = images(12) | {"0/0000.jpg": b"better"}
    replaced = {
        "set/0/0000.jpg": b"better",
        "set.tar": tar_of(tmp_path / "again.tar", again).read_bytes(),
    }
    put_before_the_first_read(monkeypatch, cloud.put, replaced)

    with pytest.raises(SourceChanged, match="the source changed during the run"):
        take(uri)

    assert take(uri).read("pics/0/0000.jpg") == b"better"


def test_a_transfer_that_breaks_off_goes_on_by_range(
    cloud: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_bytes, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(object_bytes, "CHUNK_BYTES", 1000)
    data = bytes(range(256)) * 200
    cloud.put({"a.tar": data})
    faults = [Cut(20_000), None, Cut(5_000), None]

    def cut(request: Request) -> Any:
        return faults.pop(0) if request.method == "GET" and faults else None

    with FlakyProxy(cloud.url, cut) as proxy:
        place = place_of(cloud, "a.tar", proxy.url)
        [listed] = place.list()

        assert place.read(listed) == data
        ranges = [one.headers["Range"] or one.headers["x-ms-range"] for one in reads(proxy)]

    starts = [int(one.removeprefix("bytes=").partition("-")[0]) for one in ranges if one]
    assert starts and starts == sorted(starts) and starts[-1] > 0


def test_an_object_that_is_gone_or_refused_is_quarantined_by_name(
    cloud: Emulator, take: Callable[..., Taken], caplog: pytest.LogCaptureFixture
) -> None:
    cloud.put(images(10), prefix="set/")
    code = {"gs": "AccessDenied", "az": "AuthorizationPermissionMismatch"}[cloud.scheme]
    told = f"<Error><Code>{code}</Code><Message>not for you</Message></Error>".encode()
    told_404 = b"<Error><Code>NoSuchKey</Code><Message>The key does not exist.</Message></Error>"

    def refuse(request: Request) -> Busy | None:
        if request.method != "GET":
            return None
        if "0003.jpg" in request.path or "0003%2Ejpg" in request.path:
            return Busy(403, body=told)
        gone = "0005.jpg" in request.path or "0005%2Ejpg" in request.path
        return Busy(404, body=told_404) if gone else None

    with FlakyProxy(cloud.url, refuse) as proxy:
        refused = take("set", **cloud.settings(proxy.url)).members["refusal"]

    assert refused.dropna().to_dict() == {
        "pics/1/0003.jpg": "unreadable_file",
        "pics/1/0005.jpg": "unreadable_file",
    }
    assert f"2 objects are unreadable: {cloud.uri('set/1/0003.jpg')}, " in caplog.text
    assert take("set").members["refusal"].isna().all()


def test_a_server_that_is_out_of_order_is_named_with_the_setting(cloud: Emulator) -> None:
    cloud.put({"set/a.jpg": b"1"})

    with FlakyProxy(cloud.url, lambda _: Busy(503)) as proxy:
        error = refusal_of(cloud.uri("set"), **cloud.settings(proxy.url))

    assert isinstance(error, ServiceUnavailable)
    assert f"{cloud.service} does not answer as expected (found: 503" in str(error)
    assert "_endpoint_url in settings.toml" in error.remedy


def test_what_is_not_there_is_named(cloud: Emulator) -> None:
    place = place_of(cloud, "gone.tar")
    with pytest.raises(SourceMissing, match=f"gone.tar: no such object on {cloud.service}"):
        list(place.list())
    with pytest.raises(SourceMissing, match=r"nothing: nothing is there"):
        source = Source(name="pics", uri=cloud.uri("nothing"))
        list_sources((source,), Settings(**cloud.settings()), root=Path())


def test_a_slash_at_an_end_of_a_key_makes_an_object_unreadable_and_takes_no_other(
    cloud: Emulator, take: Callable[..., Taken]
) -> None:
    """obstore loses it, and asks for another key."""
    cloud.put({**images(20), "/0/lead.jpg": b"1", "0/full.jpg/": b"2"})

    members = take("").members

    gone = dict.fromkeys(["pics/0/full.jpg", "pics/0/lead.jpg"], "unreadable_file")
    assert members["refusal"].dropna().to_dict() == gone
    cloud.put({"0/lead.jpg": b"4"})
    with pytest.raises(BadData, match=r"two objects give one name, .*found: 0/lead.jpg"):
        take("")


@pytest.mark.parametrize("key", ["a//b.jpg", "a/../b.jpg", "./b.jpg", "a/tab\t.jpg"])
def test_a_key_that_cannot_be_read_stops_with_its_name(cloud: Emulator, key: str) -> None:
    """obstore gives no page of a listing with such a key, so that no other object of it is known either."""
    cloud.put({f"set/{key}": b"1", "set/z.jpg": b"2"})

    error = refusal_of(cloud.uri("set"), **cloud.settings())

    assert isinstance(error, BadData)
    assert "a key that cannot be read" in str(error) and "rename or remove" in error.remedy
    assert error.value.replace("\\t", "\t") == f"set/{key}"


def test_credentials_that_are_refused_say_how_to_log_in(
    cloud: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fake-gcs-server refuses nobody."""
    if cloud.scheme == "gs":
        pytest.skip("fake-gcs-server takes any credentials and none")
    absent = refusal_of("az://absent/x", **cloud.settings())
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "d3Jvbmc=")
    wrong = refusal_of(cloud.uri("set"), **cloud.settings())
    public = refusal_of(cloud.uri("set"), **cloud.settings(), public_buckets=f"az://{BUCKET}")

    for error in (wrong, public):
        assert isinstance(error, CredentialsRefused)
        assert "Azure Blob Storage refused access (found: AuthorizationFailure" in str(error)
        assert "AZURE_STORAGE_CONNECTION_STRING" in error.remedy
    assert "az://absent/x/: no such container (found: ContainerNotFound" in str(absent)
