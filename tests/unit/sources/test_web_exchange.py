"""Requests to web servers: versions, transfers that break off, answers that are no file, redirects, addresses, tokens."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.errors import (
    AddressRefused,
    BadData,
    ConfigError,
    ObjectRefused,
    PipelineError,
    ServiceUnavailable,
    SourceChanged,
    SourceMissing,
)
from pipeline_lib.settings import Settings
from pipeline_lib.sources.web import connections, exchange, patience
from pipeline_lib.sources.web.connections import is_public
from pipeline_lib.sources.web.exchange import Exchange
from pipeline_lib.sources.web.headers import Version
from pipeline_lib.sources.web.urls import Url, name_of, parse_url
from tests.support.certificates import own_authority
from tests.support.flaky_proxy import WHOLE, Busy, Cut, Drop, FlakyProxy, Short, in_turn
from tests.support.slow_server import SlowServer
from tests.support.web_server import Answer, WebServer

DATA = bytes(range(256)) * 40
SECRET = "a-token-that-must-not-be-shown"


@pytest.fixture(autouse=True)
def slept_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses, which are noted and not made; no proxy of this machine."""
    slept: list[float] = []
    monkeypatch.setattr("pipeline_lib.sources.web.exchange.time.sleep", slept.append)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", *connections.CA_VARIABLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return slept


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer({"a.tar": DATA}) as server:
        yield server


def at(address: str) -> Url:
    return parse_url(address, file="params.yaml")


def exchange_for(*addresses: str, **settings: Any) -> Exchange:
    return Exchange(Settings(**settings), frozenset(at(one).origin for one in addresses))


def copied(address: str, version: Version | None = None, start: int = 0) -> bytes:
    """The bytes from `start` on, as `copy` gives them."""
    url, one, data = at(address), exchange_for(address), bytearray()
    version = version or one.look(url)
    size_bytes = version.size_bytes - start
    one.copy(
        url, version, start=start, size_bytes=size_bytes, write=data.extend, restart=data.clear
    )
    return bytes(data)


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
    "address",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *(
            "::1",
            "fe80::1%eth0",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "ff02::1",
            "::",
        ),
        *(
            "64:ff9b:1::7f00:1",  # a translation prefix of the own network (RFC 8215)
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "fec0::1",
            "3fff::1",
            "168.63.129.16",
        ),
    ],
)
def test_addresses_of_the_own_network_are_told(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"]
)
def test_addresses_of_the_open_internet_are_told(address: str) -> None:
    assert is_public(address)


def test_a_list_and_a_redirect_reach_no_private_address_unless_allowed(server: WebServer) -> None:
    url = at(f"{server.url}/a.tar")
    with pytest.raises(
        AddressRefused, match=r"private address \(found: 127.0.0.1\). Remedy: .*allow_private_urls"
    ):
        exchange_for().look(url)
    assert not server.asked
    assert exchange_for(allow_private_urls=True).look(url).size_bytes == len(DATA)
    with WebServer({}) as named:  # by a person, so that it may lie in the own network
        named.answers["a.tar"] = Answer(302, {"Location": str(url)})
        with pytest.raises(AddressRefused, match="a redirect leads to a private address"):
            exchange_for(named.url).look(at(f"{named.url}/a.tar"))


def test_a_name_is_looked_up_once_so_that_it_cannot_point_elsewhere_after_the_check(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(connections, "is_public", lambda address: address == "127.0.0.1")

    exchange_for().look(at(f"http://rebound.example:{server.port}/a.tar"))

    assert asked == ["rebound.example"]
    with pytest.raises(AddressRefused, match=r"127.0.0.2"):
        exchange_for().look(at(f"http://rebound.example:{server.port}/a.tar"))


def test_one_private_address_among_public_ones_refuses_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 80))
        for one in ("93.184.216.34", "10.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    with pytest.raises(AddressRefused, match=r"10.0.0.1"):
        exchange_for().look(at("http://mixed.example/a.tar"))


def test_an_unknown_host_and_a_closed_port_are_named(
    slept_s: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/a.tar"
        with pytest.raises(
            ServiceUnavailable, match=r"does not answer as expected .*ConnectionRefused"
        ):
            exchange_for(closed).look(at(closed))
    assert len(slept_s) == exchange.TRIES - 1

    def no_name(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    with pytest.raises(ServiceUnavailable, match=r"nowhere.example/a.tar: no server has this name"):
        exchange_for().look(at("http://nowhere.example/a.tar"))


def test_an_own_authority_is_named_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = own_authority(tmp_path)
    with WebServer({"a.tar": DATA}, context=context) as server:
        with pytest.raises(
            ServiceUnavailable,
            match=r"certificate is not trusted .*REQUESTS_CA_BUNDLE or SSL_CERT_FILE",
        ):
            copied(f"{server.url}/a.tar")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
        assert copied(f"{server.url}/a.tar") == DATA
        server.answers["down.tar"] = Answer(302, {"Location": "http://127.0.0.1:1/a.tar"})
        with pytest.raises(ObjectRefused, match=r"a redirect from https to http"):
            copied(f"{server.url}/down.tar")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigError, match=r"REQUESTS_CA_BUNDLE: certificates that cannot be read"):
        copied(f"{server.url}/a.tar")


def test_http_goes_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with WebServer({"http://elsewhere.example/a.tar": DATA}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", f"//me:{SECRET}@"))
        assert copied("http://elsewhere.example/a.tar") == DATA
        assert {one.headers["Host"] for one in proxy.asked} == {"elsewhere.example"}
        assert all(one.headers["Proxy-Authorization"].startswith("Basic ") for one in proxy.asked)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with WebServer({"a.tar": DATA}) as direct:
            assert copied(f"{direct.url}/a.tar") == DATA
        with pytest.raises(AddressRefused, match=r"10.0.0.1"):
            exchange_for().look(at("http://10.0.0.1/a.tar"))


def test_https_goes_through_a_tunnel_of_the_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = own_authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with (
        WebServer({"a.tar": DATA}, context=context) as server,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        said: list[bytes] = []
        threading.Thread(target=_tunnel, args=(listener, server.port, said), daemon=True).start()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")

        assert copied(f"{server.url}/a.tar") == DATA

        assert said[0].startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.".encode())
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(
        ConfigError, match=r"https_proxy: a proxy of this kind is not supported \(found: socks5\)"
    ):
        copied(f"{server.url}/a.tar")


@pytest.mark.parametrize("proxy", ["http://host:port", "http://[::1", "http://:3128", "///", "a b"])
def test_a_proxy_that_is_no_address_is_named_without_its_password(
    server: WebServer, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    scheme, mark, rest = proxy.rpartition("://")
    monkeypatch.setenv("http_proxy", f"{scheme}{mark}me:{SECRET}@{rest}")

    with pytest.raises(ConfigError, match="http_proxy: not the address of a proxy") as raised:
        copied(f"{server.url}/a.tar")
    assert SECRET not in str(raised.value)


def test_a_token_that_no_header_may_hold_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for token in ("a…b", "a\x01b"):
        monkeypatch.setenv("HUB_TOKEN", token)
        with pytest.raises(ConfigError, match=r"a character that no header may have .*HUB_TOKEN"):
            exchange_for("https://hub.example", url_tokens="hub.example=HUB_TOKEN")


def _tunnel(listener: socket.socket, port: int, said: list[bytes]) -> None:
    """Take one CONNECT, and pass bytes both ways."""
    client, _ = listener.accept()
    said.append(client.recv(4096))
    server = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    def passed(source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(65536):
            target.sendall(data)

    threading.Thread(target=passed, args=(client, server), daemon=True).start()
    passed(server, client)


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
