"""Servers that say nonsense, next to nothing, or nothing at all."""

from __future__ import annotations

import pytest

from pipeline_lib.errors import BadData, ObjectRefused, ServiceUnavailable
from pipeline_lib.sources.web import exchange, patience
from pipeline_lib.sources.web.headers import Version
from tests.support.flaky_proxy import Busy, Drop, FlakyProxy, in_turn
from tests.support.slow_server import SlowServer
from tests.support.web_server import Answer, WebServer
from tests.unit.sources.web.asking import DATA, at, copied, exchange_for


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "many"},
        {"Content-Length": "-5"},
        {"Content-Length": "9" * 25},
        {"Content-Length": "9" * 5000},
        {"Content-Length": "\xb2"},
        {"Content-Disposition": "attachment; filename*=undefined''a.tar"},
    ],
)
def test_headers_that_say_nonsense_count_as_absent(
    server: WebServer, headers: dict[str, str]
) -> None:
    """A number that is none, or fits no table, as a traceback would end the run of a whole list."""
    length = {} if "Content-Length" in headers else {"Content-Length": str(len(DATA))}
    server.answers["a.tar"] = lambda asked: (
        Answer(200, {**length, **headers}) if asked.method == "HEAD" else None
    )

    assert exchange_for(server.url).look(at(f"{server.url}/a.tar")).size_bytes == len(DATA)


@pytest.mark.parametrize(
    "asked", ["\xb2", "9" * 5000, "Fri, 31 Dec 99999 23:59:59 GMT", "-7", "soon"]
)
def test_a_wait_that_is_no_number_or_date_is_our_own(
    server: WebServer, slept_s: list[float], asked: str
) -> None:
    with FlakyProxy(server.url, in_turn([Busy(429, asked)])) as proxy:
        exchange_for(proxy.url).look(at(f"{proxy.url}/a.tar"))

    assert all(pause < 5 for pause in slept_s)


def test_a_server_that_sends_next_to_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on each read alone waits for ever on a byte a minute."""
    monkeypatch.setattr(patience, "WINDOW_S", 0.1)
    monkeypatch.setattr(patience, "HEADERS_S", 0.1)
    with SlowServer() as slow:
        with pytest.raises(ServiceUnavailable, match="the headers did not end within"):
            exchange_for(slow.url).look(at(f"{slow.url}/headers"))
        with pytest.raises(BadData, match=r"TimeoutError: \d+ bytes in 0 s"):
            copied(f"{slow.url}/body", Version(1000, None, "", ""))


def test_a_stream_without_an_end_is_no_file(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["a.tar"] = lambda asked: Answer(405) if asked.method == "HEAD" else None
    server.ranges = False
    monkeypatch.setattr(exchange, "whole_number", lambda _: None)
    monkeypatch.setattr(exchange, "COUNTED_BYTES", 1000)
    with pytest.raises(ObjectRefused, match=r"a stream without an end \(found: .* bytes so far"):
        exchange_for(server.url).look(at(f"{server.url}/a.tar"))
    server.kinds["a.tar"] = "multipart/x-mixed-replace"
    with pytest.raises(ObjectRefused, match=r"multipart/x-mixed-replace, 0 bytes so far"):
        exchange_for(server.url).look(at(f"{server.url}/a.tar"))


def test_a_server_that_gives_no_answer_is_not_asked_for_every_url(server: WebServer) -> None:
    with FlakyProxy(server.url, in_turn([Drop()] * 100)) as proxy:
        one = exchange_for(server.url, proxy.url)
        for _ in range(exchange.SILENT_URLS):
            with pytest.raises(ServiceUnavailable, match="does not answer as expected"):
                one.look(at(f"{proxy.url}/a.tar"))
        n_asked = len(proxy.requests)
        with pytest.raises(ServiceUnavailable, match=r"gave no answer to 5 other URLs"):
            one.look(at(f"{proxy.url}/a.tar"))
        assert len(proxy.requests) == n_asked
    assert one.look(at(f"{server.url}/a.tar")).size_bytes == len(DATA)
