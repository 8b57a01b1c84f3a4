"""What a web server answers in place of a file: refusals, pauses, redirects; what is no address at all."""

from __future__ import annotations

import pytest

from pipeline_lib.errors import (
    BadData,
    ConfigError,
    ObjectRefused,
    PipelineError,
    ServiceUnavailable,
    SourceMissing,
)
from pipeline_lib.sources.web import exchange
from pipeline_lib.sources.web.urls import name_of, parse_url
from tests.support.flaky_proxy import Busy, FlakyProxy, in_turn
from tests.support.web_server import Answer, WebServer
from tests.unit.sources.web.asking import DATA, SECRET, at, copied, exchange_for


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (404, SourceMissing, r"/a.tar: no such file on the server \(found: HTTP 404"),
        (410, SourceMissing, "no such file"),
        (
            403,
            ObjectRefused,
            r"refuses access \(found: HTTP 403 Forbidden\). Remedy: name the variable .* url_tokens",
        ),
        (401, ObjectRefused, "refuses access"),
        (
            503,
            ServiceUnavailable,
            r"answered with an error \(found: HTTP 503 .*Remedy: run again later",
        ),
        (418, ServiceUnavailable, "answered with an error"),
    ],
)
def test_an_answer_that_is_no_file_becomes_one_line(
    server: WebServer, status: int, kind: type[PipelineError], message: str
) -> None:
    server.answers["a.tar"] = Answer(status)

    with pytest.raises(kind, match=message):
        exchange_for(server.url).look(at(f"{server.url}/a.tar?key={SECRET}"))


def test_a_busy_server_is_asked_again_as_late_as_it_says_within_bounds(
    server: WebServer, slept_s: list[float]
) -> None:
    busy = [
        Busy(429, "7"),
        Busy(503, "86400"),
        Busy(503, "Wed, 21 Oct 2015 07:28:00 GMT"),
        Busy(500),
    ]
    with FlakyProxy(server.url, in_turn(busy)) as proxy:
        exchange_for(proxy.url).look(at(f"{proxy.url}/a.tar"))

    assert slept_s[:2] == [7, exchange.LONGEST_PAUSE_S]
    assert all(0 < pause < 5 for pause in slept_s[2:])


def test_redirects_are_followed_and_bounded(server: WebServer) -> None:
    server.answers |= {
        "moved": Answer(302, {"Location": "/a.tar"}),
        "circle": Answer(301, {"Location": "circle"}),
        "odd": Answer(302, {"Location": "ftp://elsewhere.example/a.tar"}),
        "broken": Answer(302, {"Location": "http://[::1/a.tar"}),
        "raw": Answer(302, {"Location": "/ü.tar".encode().decode("latin-1")}),
    }
    server.files["%C3%BC.tar"] = DATA

    assert copied(f"{server.url}/moved") == DATA
    with pytest.raises(ObjectRefused, match=r"/circle: more than 5 redirects"):
        copied(f"{server.url}/circle")
    with pytest.raises(BadData, match=r"/odd: not a URL \(found: ftp://elsewhere"):
        copied(f"{server.url}/odd")
    with pytest.raises(BadData, match=r"/broken: not a URL \(found: http://\[::1/a.tar"):
        copied(f"{server.url}/broken")
    assert copied(f"{server.url}/raw") == DATA


def test_a_token_goes_to_its_own_host_alone_and_is_never_shown(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_TOKEN", SECRET)
    with WebServer({}) as hub:
        hub.answers["a.tar"] = Answer(302, {"Location": f"{server.url}/a.tar"})
        hub.answers["closed.tar"] = Answer(403)
        one = exchange_for(hub.url, server.url, url_tokens=f"{hub.url}=HUB_TOKEN")

        assert one.look(at(f"{hub.url}/a.tar")).size_bytes == len(DATA)
        with pytest.raises(ObjectRefused) as refused:
            one.look(at(f"{hub.url}/closed.tar?token={SECRET}"))

        assert {asked.headers.get("Authorization") for asked in hub.asked} == {f"Bearer {SECRET}"}
        assert {asked.headers.get("Authorization") for asked in server.asked} == {None}
        assert SECRET not in str(refused.value)
        monkeypatch.setenv("HUB_TOKEN", f"PRIVATE-TOKEN: {SECRET}")
        exchange_for(hub.url, server.url, url_tokens=f"{hub.url}=HUB_TOKEN").look(
            at(f"{hub.url}/a.tar")
        )
        assert hub.asked[-1].headers["PRIVATE-TOKEN"] == SECRET
        monkeypatch.delenv("HUB_TOKEN")
        with pytest.raises(
            ConfigError, match=r"url_tokens: the variable is not set \(found: HUB_TOKEN\)"
        ):
            exchange_for(hub.url, url_tokens=f"{hub.url}=HUB_TOKEN")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://host/a.jpg", "not a URL"),
        ("https:///a.jpg", "not a URL"),
        ("https://host:port/a.jpg", "not a URL"),
        ("https://me:pw@host/a.jpg", "a URL with a user or password in it"),
        ("cat/1.jpg", "not a URL"),
    ],
)
def test_what_is_no_address_is_named_without_its_secrets(text: str, message: str) -> None:
    with pytest.raises(BadData, match=rf"list.txt:3: {message}") as refused:
        parse_url(text, file="list.txt:3")
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://host.example/cat/1.jpg", "host.example/cat/1.jpg"),
        ("https://host.example:8443/caf%C3%A9%20x.jpg", "host.example_8443/café x.jpg"),
        ("https://host.example/a/%2e%2e/%2e%2e/b.jpg", "host.example/a/b.jpg"),
        ("https://host.example/a.jpg?X-Amz-Signature=1&X-Amz-Expires=5", "host.example/a.jpg"),
        ("https://host.example/a.jpg?id=7", "host.example/a-98ed73d5f4.jpg"),
        ("https://host.example", "host.example/index"),
        ("https://host.example/..?id=7", "host.example/index-98ed73d5f4"),
        ("https://host.example/a%00%1b.jpg", "host.example/a%00%1B.jpg"),
    ],
)
def test_names_are_made_of_host_and_path_and_climb_nowhere(address: str, name: str) -> None:
    assert name_of(at(address)) == name
