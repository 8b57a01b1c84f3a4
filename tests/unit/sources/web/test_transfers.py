"""Files of web servers: their versions, transfers that break off, files that change meanwhile."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pipeline_lib.errors import BadData, ServiceUnavailable, SourceChanged
from pipeline_lib.sources.web import exchange
from tests.support.flaky_proxy import WHOLE, Busy, Cut, Drop, FlakyProxy, Short, in_turn
from tests.support.web_server import Answer, WebServer
from tests.unit.sources.web.asking import DATA, at, copied, exchange_for


@pytest.mark.parametrize(
    ("versions", "identity"),
    [
        ("etag", r"[0-9a-f]{16}"),
        ("date", r"modified Wed, 21 Oct .* GMT"),
        ("weak", None),
        ("none", None),
    ],
)
def test_a_version_is_a_strong_etag_or_else_a_date_or_else_unknown(
    versions: str, identity: str | None
) -> None:

    with WebServer({"a.tar": DATA}, versions=versions) as server:
        version = exchange_for(server.url).look(at(f"{server.url}/a.tar"))

        assert version.size_bytes == len(DATA)
        assert (
            version.identity is None
            if identity is None
            else re.fullmatch(identity, version.identity or "")
        )
        assert copied(f"{server.url}/a.tar") == DATA


def test_a_server_without_head_or_length_is_asked_for_one_byte_or_read_through(
    server: WebServer,
) -> None:
    server.answers["a.tar"] = lambda asked: Answer(405) if asked.method == "HEAD" else None
    assert exchange_for(server.url).look(at(f"{server.url}/a.tar")).size_bytes == len(DATA)
    assert server.asked[-1].headers["Range"] == "bytes=0-0"
    server.ranges = False
    assert exchange_for(server.url).look(at(f"{server.url}/a.tar")).size_bytes == len(DATA)


def test_a_broken_transfer_goes_on_where_it_broke_off(server: WebServer) -> None:
    faults = [None, Cut(1000), Drop(), Cut(3000), Busy(503, "0")]
    with FlakyProxy(server.url, in_turn(faults)) as proxy:
        assert copied(f"{proxy.url}/a.tar") == DATA

        ranges = [one.headers.get("Range") for one in proxy.requests]
        assert ranges == [
            None,
            None,
            *[f"bytes=1000-{len(DATA) - 1}"] * 2,
            *[f"bytes=4000-{len(DATA) - 1}"] * 2,
        ]
        assert all("If-Match" in one.headers for one in proxy.requests[1:])


def test_a_transfer_that_never_comes_further_ends_in_one_line(server: WebServer) -> None:
    with FlakyProxy(server.url, in_turn([None, *[Cut(0)] * 20])) as proxy:
        with pytest.raises(
            BadData, match=r"/a.tar: the server does not send the whole file .*Remedy: run again"
        ):
            copied(f"{proxy.url}/a.tar")
        assert len(proxy.requests) == 1 + exchange.TRIES


def test_200_in_place_of_206_begins_again_at_byte_0(server: WebServer) -> None:
    with FlakyProxy(server.url, in_turn([None, Cut(1000), WHOLE, Cut(500), WHOLE])) as proxy:
        assert copied(f"{proxy.url}/a.tar") == DATA
    with WebServer({"a.tar": DATA}, ranges=False) as plain:
        with FlakyProxy(plain.url, in_turn([None, Cut(1000)])) as proxy:
            assert copied(f"{proxy.url}/a.tar") == DATA
        with pytest.raises(ServiceUnavailable, match=r"a.tar: the server ignores ranges"):
            copied(f"{plain.url}/a.tar", start=10)


@pytest.mark.parametrize("preconditions", [True, False])
@pytest.mark.parametrize("versions", ["etag", "date"])
def test_a_file_that_changes_meanwhile_is_never_spliced(preconditions: bool, versions: str) -> None:
    with WebServer({"a.tar": DATA}, preconditions=preconditions, versions=versions) as server:
        version = exchange_for(server.url).look(at(f"{server.url}/a.tar"))

        def change(request: Any) -> Cut | None:
            if request.number == 0:
                return Cut(1000)
            server.files["a.tar"] = DATA[::-1]
            return None

        with (
            FlakyProxy(server.url, change) as proxy,
            pytest.raises(SourceChanged, match=r"a.tar: the file changed"),
        ):
            copied(f"{proxy.url}/a.tar", version)


def test_a_file_without_version_begins_again_when_it_breaks_off() -> None:
    with WebServer({"a.tar": DATA}, versions="none") as server:
        with FlakyProxy(server.url, in_turn([None, Cut(1000)])) as proxy:
            assert copied(f"{proxy.url}/a.tar") == DATA
            assert [one.headers.get("Range") for one in proxy.requests] == [None] * 3


def test_a_wrong_length_is_found(server: WebServer) -> None:
    with FlakyProxy(server.url, in_turn([None, Short(1)])) as proxy:
        with pytest.raises(
            SourceChanged, match=rf"another size .*{len(DATA) - 1} instead of {len(DATA)} bytes"
        ):
            copied(f"{proxy.url}/a.tar")
