"""Images at https:// and http:// addresses: a row each, whatever the server does."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator

import pytest

from pipeline_lib.errors import PipelineError
from pipeline_lib.harness.work_in_order import Pause
from pipeline_lib.prediction.inputs import named_items
from pipeline_lib.prediction.items import Reader, web_name
from pipeline_lib.settings import Settings
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.sources.web.urls import Origin
from tests.support.web_server import Answer, WebServer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200)) * 20


@pytest.fixture
def web() -> Iterator[WebServer]:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        member = tarfile.TarInfo("a/1.png")
        member.size = len(PNG)
        archive.addfile(member, io.BytesIO(PNG))
    files = {"1.png": PNG, "image": PNG, "x.tar.gz": stream.getvalue(), "get": stream.getvalue()}
    with WebServer(files) as server:
        server.answers["closed.png"] = Answer(403)
        server.kinds["get"] = "application/gzip"
        yield server


def read(
    *names: str, piped: str = "", private: bool = False, most: int = 1 << 20
) -> dict[str, object]:
    """What rows call each item, and its bytes or its fault."""
    end, start = os.pipe()
    os.write(start, piped.encode())
    os.close(start)
    reader = Reader(Settings(allow_private_urls=private), ArchiveLimits(most, 1 << 30, 200))
    answers: dict[str, object] = {}
    for item in named_items(names, reader, stdin=end, nul=False):
        assert not isinstance(item, Pause)
        try:
            answers[item.name] = item.read(reader)
        except PipelineError as fault:
            answers[item.name] = str(fault)
    return answers


def test_images_and_archives_are_read_and_faults_are_rows(web: WebServer) -> None:
    names = ("1.png", "gone.png", "closed.png", "image", "x.tar.gz", "get", "nothing")

    found = list(read(*(f"{web.url}/{name}" for name in names)).items())

    assert found[0] == (f"{web.url}/1.png", PNG)
    assert "no such file on the server (found: HTTP 404 Not Found). Remedy: fix the address" in str(
        found[1]
    )
    assert "dvc" not in str(found[1])
    assert "the server refuses access (found: HTTP 403 Forbidden)" in str(found[2])
    assert found[3] == (f"{web.url}/image", PNG)
    assert found[4:6] == [(f"{web.url}/{name}/a/1.png", PNG) for name in ("x.tar.gz", "get")]
    assert "HTTP 404" in str(found[6])


def test_addresses_that_were_piped_reach_the_own_network_if_a_setting_says_so(
    web: WebServer,
) -> None:
    address = f"{web.url}/1.png"

    assert "leads to a private address" in str(read("-", piped=address)[address])
    assert read("-", piped=f"{address}\n{web.url}/x.tar.gz", private=True) == {
        address: PNG,
        f"{web.url}/x.tar.gz/a/1.png": PNG,
    }


def test_a_file_that_is_too_large_is_not_fetched(web: WebServer) -> None:
    (said,) = read(f"{web.url}/1.png", most=1000).values()

    assert "file_too_large" in str(said)
    assert [asked.method for asked in web.asked] == ["HEAD"]


def test_of_thousands_of_servers_few_connections_are_kept() -> None:
    reader = Reader(Settings(allow_private_urls=True), ArchiveLimits(1 << 20, 1 << 30, 200))
    for n in range(1000):
        reader.exchange(Origin("https", f"{n}.org", 443), is_named=False)

    assert len(reader.exchanges) <= 64


def test_a_signature_is_no_part_of_a_name() -> None:
    address = "https://h/1.jpg?id=5&X-Amz-Signature=secret&X-Amz-Date=today&w=3"

    assert web_name(address) == "https://h/1.jpg?id=5&w=3"
    assert web_name("https://h/1.jpg?sig=secret") == "https://h/1.jpg"
    assert web_name("https://h/1.jpg") == "https://h/1.jpg"


def test_an_address_with_a_password_is_refused() -> None:
    ((name, said),) = read("https://me:secret@h/1.jpg").items()

    assert name == "https://h/1.jpg"
    assert "a user or password in it" in str(said) and "secret" not in str(said)
