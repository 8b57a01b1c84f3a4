"""Who is spoken to: addresses of the own network, names, certificates, proxies."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.errors import AddressRefused, ConfigError, ObjectRefused, ServiceUnavailable
from pipeline_lib.sources.web import connections, exchange
from pipeline_lib.sources.web.connections import is_public
from tests.support.certificates import own_authority
from tests.support.web_server import Answer, WebServer
from tests.unit.sources.web.asking import DATA, SECRET, at, copied, exchange_for


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
