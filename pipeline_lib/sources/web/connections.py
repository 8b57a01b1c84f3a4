"""Connections to web servers: which addresses may be reached, proxies, certificates and tokens.

Python's own http.client: a connection is made to an address that was checked, which the pools of urllib3 and httpx let
nobody do by their public interface, and every redirect is ours to judge.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import os
import socket
import ssl
import weakref
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from pipeline_lib.errors import AddressRefused, ConfigError
from pipeline_lib.settings import Settings
from pipeline_lib.sources.web.patience import PatientResponse
from pipeline_lib.sources.web.urls import PORTS, Origin, Url

CONNECT_S = 10.0
READ_S = 60.0
NAT64 = ipaddress.ip_network("64:ff9b::/96")
GLOBAL_V6 = ipaddress.ip_network("2000::/3")  # all that IANA has given out (RFC 4291)
DOCUMENTATION = ipaddress.ip_network("3fff::/20")  # RFC 9637, which Python 3.11 does not know
WIRE_SERVER = ipaddress.ip_address("168.63.129.16")  # tells machines in Azure who they are
NO_HEADER = "the variable has several lines, or a character that no header may have"
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open Internet, also where it is wrapped in an IPv6 one.

    Private, loopback, link-local (the metadata services of clouds), shared (RFC 6598), multicast and reserved ones are
    not: the registries of IANA, as `ipaddress` has them.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        wrapped = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo or (None, None))[1]
        if parsed in NAT64:
            wrapped = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(str(wrapped))
        if parsed not in GLOBAL_V6 or parsed in DOCUMENTATION:
            return False
    return parsed.is_global and not parsed.is_multicast and parsed != WIRE_SERVER


class Answer:
    """A server's answer, whose body is still to be read. Leaving the block keeps the connection if nothing is left in it."""

    def __init__(
        self,
        url: Url,
        response: http.client.HTTPResponse,
        connection: http.client.HTTPConnection,
        kept: list[http.client.HTTPConnection],
    ) -> None:
        self.url, self.status, self.headers = url, response.status, response.headers
        self.found = f"HTTP {response.status} {response.reason}".strip()
        self._response, self._connection, self._kept = response, connection, kept

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._response.isclosed() and not self._response.will_close:
            self._kept.append(self._connection)
        else:
            self._response.close()
            self._connection.close()

    def read(self, size_bytes: int | None = None) -> bytes:
        """Read so many bytes of the body, or all; b"" at its end."""
        return self._response.read(size_bytes)


class Connections:
    """Connections that are kept for the next request. Thread-safe.

    trusted: origins that a person named in params.yaml, which may lie in the own network; all others only if the setting
    allow_private_urls says so.
    """

    def __init__(self, settings: Settings, trusted: frozenset[Origin]) -> None:
        self._reaches_all, self._trusted = settings.allow_private_urls, trusted
        self._tokens = _tokens(settings.url_tokens)
        self._proxies = getproxies_environment()
        self._context: ssl.SSLContext | None = None
        self._kept: dict[Origin, list[http.client.HTTPConnection]] = {}
        weakref.finalize(self, _close_all, self._kept)

    def send(self, method: str, url: Url, headers: Mapping[str, str]) -> Answer:
        """Send one request. Raises OSError, http.client.HTTPException, AddressRefused."""
        all_headers = {"User-Agent": "perennial", "Accept-Encoding": "identity", **headers}
        if token := self._tokens.get(url.origin):
            all_headers |= dict([token])
        target, proxy = url.target, self._proxy(url.origin)
        if proxy and url.origin.scheme == "http":
            target = str(url)
            host = str(url.origin).partition("://")[2]
            all_headers |= {"Host": host, **_proxy_login(proxy)}
        kept = self._kept.setdefault(url.origin, [])
        is_kept = bool(kept)
        try:
            connection = kept.pop()
        except IndexError:
            connection = self._connection(url.origin, proxy)
        connection.response_class = PatientResponse
        try:
            connection.request(method, target, headers=all_headers)
            return Answer(url, connection.getresponse(), connection, kept)
        except (ConnectionError, http.client.RemoteDisconnected):
            connection.close()
            if not is_kept:
                raise
            return self.send(method, url, headers)  # the server had closed a kept connection
        except BaseException:
            connection.close()
            raise

    def _connection(self, origin: Origin, proxy: str | None) -> http.client.HTTPConnection:
        context = self._tls() if origin.scheme == "https" else None
        if proxy is None:
            return _Pinned(origin, context, is_checked=not self._may_be_private(origin))
        if not self._may_be_private(origin):
            _refuse_private(origin, through_proxy=True)
        parts = urlsplit(proxy)
        where = (parts.hostname or "", parts.port or PORTS["http"])
        if context is None:
            return http.client.HTTPConnection(*where, timeout=READ_S)
        tunnel = http.client.HTTPSConnection(*where, timeout=READ_S, context=context)
        tunnel.set_tunnel(origin.host, origin.port, _proxy_login(proxy))
        return tunnel

    def _may_be_private(self, origin: Origin) -> bool:
        return self._reaches_all or origin in self._trusted

    def _proxy(self, origin: Origin) -> str | None:
        proxy = self._proxies.get(origin.scheme) or self._proxies.get("all")
        if not proxy or proxy_bypass(f"{origin.host}:{origin.port}"):
            return None
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        if proxy.startswith("http://") and _has_host(proxy):
            return proxy
        is_http = proxy.startswith("http://")
        raise ConfigError(
            "not the address of a proxy" if is_http else "a proxy of this kind is not supported",
            file=f"{origin.scheme}_proxy",
            value=proxy.rpartition("@")[2] if is_http else proxy.partition("://")[0],
            remedy="name a proxy that speaks HTTP, as http://host:port, or set no_proxy for this host",
        )

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            named = next((name for name in CA_VARIABLES if os.environ.get(name)), None)
            path = os.environ[named] if named else None
            is_folder = path is not None and os.path.isdir(path)  # noqa: PTH112 - of the environment
            try:
                self._context = ssl.create_default_context(
                    cafile=None if is_folder else path, capath=path if is_folder else None
                )
            except OSError as error:
                remedy = "name a file of certificates in PEM form, or unset the variable"
                raise ConfigError(
                    "certificates that cannot be read",
                    file=named or "",
                    value=f"{path}: {error}",
                    remedy=remedy,
                ) from error
        return self._context


class _Pinned(http.client.HTTPConnection):
    """A connection to one of the addresses that were looked up and checked, so that a name cannot point elsewhere between
    the check and the connection (DNS rebinding)."""

    def __init__(self, origin: Origin, context: ssl.SSLContext | None, *, is_checked: bool) -> None:
        super().__init__(origin.host, origin.port, timeout=READ_S)
        self.default_port = PORTS[origin.scheme]  # which the header Host leaves out
        self._origin, self._context, self._is_checked = origin, context, is_checked

    def connect(self) -> None:
        """Look the name up once, and connect to what was found."""
        found = _refuse_private(self._origin) if self._is_checked else _addresses(self._origin)
        failure: OSError | None = None
        for family, kind, protocol, _, address in found:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(CONNECT_S)
                sock.connect(address)
                break
            except OSError as error:
                sock.close()
                failure = error
        else:
            raise failure or OSError("no address")
        sock.settimeout(READ_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.sock = (
                self._context.wrap_socket(sock, server_hostname=self._origin.host)
                if self._context
                else sock
            )
        except BaseException:
            sock.close()
            raise


def _close_all(kept: Mapping[Origin, list[http.client.HTTPConnection]]) -> None:
    for connections in kept.values():
        for connection in connections:
            connection.close()


def _addresses(origin: Origin) -> list[Any]:
    return socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)


def _refuse_private(origin: Origin, *, through_proxy: bool = False) -> list[Any]:
    """The addresses of a host. Raises AddressRefused if one of them is not public.

    through_proxy: a name that only the proxy can look up is the proxy's to judge.
    """
    try:
        found = _addresses(origin)
    except socket.gaierror:
        if through_proxy:
            return []
        raise
    inside = sorted({str(one[4][0]) for one in found if not is_public(str(one[4][0]))})
    if inside:
        remedy = "remove it from the list, or set allow_private_urls = true in settings.toml if you trust the list"
        raise AddressRefused(
            "a URL list or a redirect leads to a private address",
            file=str(origin),
            value=", ".join(inside),
            remedy=remedy,
        )
    return found


def _has_host(proxy: str) -> bool:
    """Whether an address has a host and, if any, a port that is one."""
    try:
        parts = urlsplit(proxy)
        return bool(parts.hostname) and " " not in proxy and parts.port != 0
    except ValueError:
        return False


def _proxy_login(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy)
    if not parts.username:
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login).decode()}"}


def _tokens(setting: str) -> dict[Origin, tuple[str, str]]:
    """Headers by origin: the variables that the setting url_tokens names, read now. Raises ConfigError if one is not set."""
    tokens = {}
    for entry in filter(None, (part.strip() for part in setting.split(","))):
        address, _, variable = entry.rpartition("=")
        value = os.environ.get(variable, "").strip()
        if not value or not (value.isascii() and value.isprintable()):
            what = "the variable is not set" if not value else NO_HEADER
            remedy = f"export {variable}='Authorization: Bearer ...', or remove the entry from url_tokens"
            raise ConfigError(what, file="url_tokens", value=variable, remedy=remedy)
        name, colon, content = value.partition(": ")
        parts = urlsplit(address if "://" in address else f"https://{address}")
        origin = Origin(parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme])
        tokens[origin] = (name, content) if colon else ("Authorization", f"Bearer {value}")
    return tokens
