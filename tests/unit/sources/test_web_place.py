"""Sources at web addresses, through discover and download: one file, several, lists with and without labels."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.errors import (
    AddressRefused,
    BadData,
    DataCheckFailed,
    ObjectRefused,
    ServiceUnavailable,
    SourceChanged,
    SourceMissing,
)
from pipeline_lib.settings import Settings
from pipeline_lib.sources.arriving import Arriving
from pipeline_lib.sources.places import place_of, table_place
from pipeline_lib.survey import survey
from testing.sources import SMALL_SHARDS, Taken, images, take_sources, tar_of
from tests.support.flaky_proxy import WHOLE, Cut, FlakyProxy, at_random, in_turn
from tests.support.web_server import Answer, WebServer

FILES = images(12)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline_lib.sources.web.exchange.PAUSE_S", 0)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer(dict(FILES)) as server:
        yield server


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    return tar_of(tmp_path / "made" / "x.tar", FILES).read_bytes()


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., Taken]:
    def take(source: dict[str, Any], out: str = "out", **settings: Any) -> Taken:
        chosen = Settings(**{"workers": 2, **settings})
        return take_sources(tmp_path, (source,), out=out, params=SMALL_SHARDS, settings=chosen)

    return take


def address(url: str) -> str:
    return url.partition("://")[2].replace(":", "_")


def test_an_archive_is_fetched_whole_and_kept_as_received(
    server: WebServer, take: Callable[..., Taken], archive: bytes
) -> None:
    server.files["sets/x.tar"] = archive

    with FlakyProxy(server.url, in_turn([None, Cut(7000), WHOLE])) as proxy:
        taken = take({"uri": f"{proxy.url}/sets/x.tar?download=1"})

    [container] = (taken.folder / "shards").iterdir()
    assert container.read_bytes() == archive
    assert {name: taken.read(f"pics/{name}") for name in FILES} == FILES
    assert set(taken.members["label_received"]) == {"0", "1"}


@pytest.mark.parametrize("told_by", ["disposition", "redirect", "media type"])
def test_an_address_that_does_not_name_its_archive_is_asked(
    server: WebServer, take: Callable[..., Taken], archive: bytes, told_by: str
) -> None:
    server.files["get"] = archive
    if told_by == "disposition":
        stated = {"Content-Disposition": 'attachment; filename="x.tar"', "ETag": '"1"'}
        server.answers["get"] = lambda _: Answer(200, stated, archive)
    if told_by == "redirect":
        server.files["x.tar"] = archive
        server.answers["get"] = Answer(302, {"Location": "/x.tar"})
    if told_by == "media type":
        server.kinds["get"] = "application/x-tar"

    assert len(take({"uri": f"{server.url}/get"}).members) == len(FILES)


def test_several_addresses_are_one_source(
    server: WebServer, take: Callable[..., Taken], archive: bytes
) -> None:
    server.files |= {"a.tar": archive, "b.tar": archive}

    taken = take({"uri": f"{server.url}/a.tar\n {server.url}/b.tar", "layout": "leaf_folders"})

    assert len(taken.members) == 2 * len(FILES)
    assert taken.read(f"pics/{address(server.url)}/b/0/0000.jpg") == FILES["0/0000.jpg"]


def test_a_list_gives_images_and_classes_by_its_folders(
    server: WebServer, take: Callable[..., Taken], tmp_path: Path
) -> None:
    lines = [f"{server.url}/{name}" for name in FILES]
    (tmp_path / "urls.txt").write_text("\n".join(["# all of them", "", *lines, lines[0]]))

    taken = take({"uri": "urls.txt"}, allow_private_urls=True)

    assert {name: taken.read(f"pics/{address(server.url)}/{name}") for name in FILES} == FILES
    assert set(taken.members["label_received"]) == {"0", "1"}


def test_an_unlabelled_source_has_no_classes_whatever_its_folders_are_called(
    server: WebServer, take: Callable[..., Taken], tmp_path: Path
) -> None:
    (tmp_path / "urls.txt").write_text("\n".join(f"{server.url}/{name}" for name in FILES))

    members = take({"uri": "urls.txt", "role": "unlabelled"}, allow_private_urls=True).members

    assert members["label_received"].isna().all()
    assert set(members["split_received"]) == {"train"}


def test_a_table_gives_addresses_and_labels(
    server: WebServer, take: Callable[..., Taken], tmp_path: Path
) -> None:
    lines = [
        f"{server.url}/{name},{'cat' if n % 3 else 'dog'},train" for n, name in enumerate(FILES)
    ]
    (tmp_path / "set.csv").write_text("\n".join(["url,label,split", *lines]))

    taken = take({"uri": "set.csv", "labels": "set.csv"}, allow_private_urls=True)

    assert taken.members["label_received"].value_counts().to_dict() == {"cat": 8, "dog": 4}
    assert set(taken.members["split_received"]) == {"train"}


def test_a_list_and_labels_may_lie_on_a_server_themselves(
    server: WebServer, take: Callable[..., Taken]
) -> None:
    rows = "\n".join(["image_url;class", *(f"{server.url}/{name};c" for name in FILES)])
    server.files["set.csv"] = rows.encode()

    taken = take(
        {"uri": f"{server.url}/set.csv", "labels": f"{server.url}/set.csv"}, allow_private_urls=True
    )

    assert set(taken.members["label_received"]) == {"c"}
    with pytest.raises(AddressRefused, match="allow_private_urls"):
        take({"uri": f"{server.url}/set.csv"}, "refused")


def test_what_is_not_served_is_quarantined_by_name_up_to_a_limit(
    server: WebServer, take: Callable[..., Taken], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers["0/0002.jpg"] = Answer(403)
    server.kinds["0/0004.jpg"] = "text/html; charset=utf-8"
    lines = [*(f"{server.url}/{name}" for name in FILES), f"{server.url}/0/gone.jpg"]
    (tmp_path / "urls.txt").write_text("\n".join(lines))

    refused = take({"uri": "urls.txt"}, allow_private_urls=True).members["refusal"].dropna()

    host = address(server.url)
    assert refused.to_dict() == {
        f"pics/{host}/0/0002.jpg": "not_served",
        f"pics/{host}/0/gone.jpg": "not_served",
        f"pics/{host}/0/0004.jpg": "not_image",
    }
    assert (
        f"2 of 13 URLs are not served: {server.url}/0/0002.jpg: the server refuses access HTTP 403"
        in caplog.text
    )
    assert f"{server.url}/0/0004.jpg: a web page (text/html), not an image" in caplog.text
    server.answers["0/0006.jpg"] = Answer(500)
    with pytest.raises(
        DataCheckFailed, match=r"3 of 13 files are unreadable, 3 are allowed|open these URLs"
    ):
        server.answers["0/0008.jpg"] = Answer(404)
        take({"uri": "urls.txt"}, "over", allow_private_urls=True)


def test_a_line_that_leads_into_the_own_network_is_refused_alone(
    server: WebServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """127.0.0.1 stands for a public server, and 127.0.0.2 for one inside."""
    monkeypatch.setattr(
        "pipeline_lib.sources.web.connections.is_public", lambda address: address == "127.0.0.1"
    )
    inside = Answer(302, {"Location": f"http://127.0.0.2:{server.port}/0/0000.jpg"})
    server.answers["0/0002.jpg"] = inside
    (tmp_path / "urls.txt").write_text("\n".join(f"{server.url}/{name}" for name in FILES))

    found = list(place_of("urls.txt", Settings(), root=tmp_path).list())

    faults = {one.key: str(one.fault) for one in found if one.fault}
    assert faults == {f"{address(server.url)}/0/0002.jpg": "address_refused"}


def test_an_image_that_goes_after_the_listing_is_refused_alone(
    server: WebServer, tmp_path: Path
) -> None:
    (tmp_path / "urls.txt").write_text("\n".join(f"{server.url}/{name}" for name in FILES))
    place = place_of("urls.txt", Settings(allow_private_urls=True), root=tmp_path)
    listed = list(place.list())
    del server.files["0/0000.jpg"]
    server.files["1/0001.jpg"] = b"other bytes"

    with pytest.raises(ObjectRefused, match=r"0/0000.jpg: no such file on the server"):
        place.read(listed[0])
    with pytest.raises(SourceChanged, match=r"1/0001.jpg: the file changed"):
        place.read(listed[1])
    assert place.read(place.look(listed[1])) == b"other bytes"


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (lambda _: Answer(500), "HTTP 500"),
        (lambda _: Answer(429), "HTTP 429"),
        (lambda _: Answer(200, {"ETag": '"e"', "Content-Length": "900"}), "another size"),
        (lambda n: Answer(200, {"ETag": f'"{n}"', "Content-Length": "300"}), "changed"),
        (
            lambda _: Answer(200, {"ETag": '"e"', "Content-Length": "300", "Connection": "close"}),
            "does not send the whole file",
        ),
    ],
)
def test_a_server_that_lists_a_file_and_never_gives_it_loses_that_file_alone(
    server: WebServer,
    take: Callable[..., Taken],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    answers: Callable[[int], Answer],
    why: str,
) -> None:
    """What one of ten thousand servers does night after night must not stop every run."""
    server.answers["0/0002.jpg"] = lambda asked: (
        Answer(
            200,
            {
                "ETag": f'"{len(server.asked)}"' if why == "changed" else '"e"',
                "Content-Length": "300",
            },
        )
        if asked.method == "HEAD"
        else answers(len(server.asked))
    )
    (tmp_path / "urls.txt").write_text("\n".join(f"{server.url}/{name}" for name in FILES))

    taken = take({"uri": "urls.txt"}, allow_private_urls=True)

    refused = taken.members["refusal"].dropna().to_dict()
    assert refused == {f"pics/{address(server.url)}/0/0002.jpg": "unreadable_file"}
    assert f"{server.url}/0/0002.jpg: " in caplog.text
    assert why in caplog.text


def test_where_one_file_after_the_other_does_not_come_the_network_is_named(
    server: WebServer, take: Callable[..., Taken], tmp_path: Path
) -> None:
    server.answers |= {
        name: lambda asked: None if asked.method == "HEAD" else Answer(503) for name in FILES
    }
    (tmp_path / "urls.txt").write_text("\n".join(f"{server.url}/{name}" for name in FILES))

    with pytest.raises(ServiceUnavailable, match=r"answered with an error .*HTTP 503"):
        take({"uri": "urls.txt"}, allow_private_urls=True)


def test_a_list_of_which_nothing_is_served_stops_at_once(server: WebServer, tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text(f"{server.url}/x.jpg\n{server.url}/y.jpg\n")

    with pytest.raises(SourceMissing, match=r"y.jpg: no such file on the server \(found: HTTP 404"):
        list(place_of("urls.txt", Settings(allow_private_urls=True), root=tmp_path).list())


def test_files_without_version_are_told(
    tmp_path: Path, take: Callable[..., Taken], caplog: pytest.LogCaptureFixture
) -> None:
    with WebServer(dict(FILES), versions="none") as server:
        (tmp_path / "urls.txt").write_text("\n".join(f"{server.url}/{name}" for name in FILES))
        take({"uri": "urls.txt"}, allow_private_urls=True)

    assert (
        "12 of 12 URLs have neither an ETag nor a date: a change of the same size is not noticed"
        in caplog.text
    )


@pytest.mark.parametrize("is_told", [True, False])
def test_a_page_in_place_of_an_archive_is_named(
    server: WebServer, take: Callable[..., Taken], is_told: bool
) -> None:
    server.files["x.tar"] = b"\n<!DOCTYPE html><title>Log in</title>"
    if is_told:
        server.kinds["x.tar"] = "text/html"

    with pytest.raises(
        BadData, match=r"x.tar: the server sends a web page in place of the file.*url_tokens"
    ):
        take({"uri": f"{server.url}/x.tar"})


def test_a_full_disk_ends_a_transfer_at_once(server: WebServer, archive: bytes) -> None:
    server.files["x.tar"] = archive
    place = place_of(f"{server.url}/x.tar", Settings(), root=Path())
    [one] = place.list()

    with pytest.raises(OSError, match="No space left on device"):
        place.fetch(
            one, Arriving(Path("/dev/full"), one.size_bytes), workers=1, step=lambda _: None
        )
    assert [asked.method for asked in server.asked] == ["HEAD", "GET"]


def test_a_missing_archive_is_named(server: WebServer, take: Callable[..., Taken]) -> None:
    with pytest.raises(
        SourceMissing, match=r"/x.tar: no such file on the server \(found: HTTP 404"
    ):
        take({"uri": f"{server.url}/x.tar"})


@pytest.mark.parametrize("ranges", [True, False])
def test_a_survey_looks_into_archives_on_a_server(
    tmp_path: Path, archive: bytes, ranges: bool
) -> None:
    zipped = tmp_path / "x.zip"
    with zipfile.ZipFile(zipped, "w") as file:
        for name, data in FILES.items():
            file.writestr(name, data)
    with WebServer({"x.tar": archive, "x.zip": zipped.read_bytes()}, ranges=ranges) as server:
        for name in ("x.tar", "x.zip"):
            found = survey(f"{server.url}/{name}", Settings(), root=tmp_path)
            assert (found.kind, found.n_images, len(found.classes)) == ("web archive", 12, 2)


def test_a_large_file_of_a_server_without_ranges_is_not_read_again_and_again(
    archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline_lib.sources.web.place.KEPT_BYTES", 100)
    with WebServer({"x.tar": archive}, ranges=False) as server:
        place = place_of(f"{server.url}/x.tar", Settings(), root=Path())
        [one] = place.list()
        with pytest.raises(ServiceUnavailable, match="the server ignores ranges"):
            place.read_part(one, start=512, size_bytes=10)


def test_a_bad_day_of_the_network_changes_nothing(
    server: WebServer, take: Callable[..., Taken], tmp_path: Path
) -> None:
    with FlakyProxy(server.url, at_random(seed=1, share=0.2, body_bytes=300)) as proxy:
        (tmp_path / "urls.txt").write_text("\n".join(f"{proxy.url}/{name}" for name in FILES))
        taken = take({"uri": "urls.txt"}, allow_private_urls=True)

        assert {name: taken.read(f"pics/{address(proxy.url)}/{name}") for name in FILES} == FILES


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.txt",
            "https://host.example/1.jpg\ncat/2.jpg\n",
            r"a.txt:2: not a URL \(found: cat/2.jpg",
        ),
        ("a.txt", "# nothing\n", "a.txt: no URL in it"),
        ("a.csv", "name,label\nx,y\n", r"a.csv:1: no column of URLs \(found: name,label"),
        ("a.csv", "url,label\n,cat\n", r"a.csv:2: not a URL"),
        ("a.tsv", 'url\tlabel\n"https://host', r"a.tsv:2: not valid CSV"),
        (
            "a.txt",
            "http://h.example/1.jpg\nhttps://h.example/1.jpg\n",
            r"a.txt:2: two addresses give .* same name",
        ),
    ],
)
def test_a_list_that_is_none_is_named_by_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)

    with pytest.raises(BadData, match=message):
        place_of(name, Settings(), root=tmp_path)


@pytest.mark.parametrize("uri", ["gcs://bucket/x", "ftp://host/x.tar", "abfs://images/x"])
def test_an_address_of_another_kind_is_no_local_path(uri: str) -> None:
    with pytest.raises(SourceMissing, match=r"://.* cannot be read. Remedy: name "):
        place_of(uri, Settings(), root=Path())


def test_a_table_is_read_itself_and_not_followed(server: WebServer) -> None:
    server.files["labels.csv"] = b"file,label\n"
    place = table_place(f"{server.url}/labels.csv", Settings(), root=Path())

    assert place.read(next(place.list())) == b"file,label\n"
