"""An HTTP proxy on loopback that breaks some answers of the server behind it: the network of a bad day.

Point a client at `proxy.url` in place of the server's own address (as `s3_endpoint_url`, or in an https:// source):

    with FlakyProxy(server_url, at_random(seed=1, share=0.1)) as proxy:
        Settings(s3_endpoint_url=proxy.url)

What happens to each request is a `Choose`: `in_turn([Cut(100), None, Busy()])` for tests of one fault, `at_random` for long
runs (also of several processes and with `kill -9`: the proxy lives in the process that began it), or any function of the
request. `proxy.requests` has all that came in. Signatures of S3 stay valid: path, query, Host and body pass unchanged.
"""

from __future__ import annotations

import http.client
import random
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.quiet_server import QuietServer


@dataclass(frozen=True)
class Cut:
    """The connection ends after so many bytes of the body."""

    after_bytes: int = 0


@dataclass(frozen=True)
class Drop:
    """The connection ends before any answer."""


@dataclass(frozen=True)
class Delay:
    """The answer comes late, and whole."""

    seconds: float = 0.05


@dataclass(frozen=True)
class Busy:
    """The proxy answers by itself, as a server does that is overloaded."""

    status: int = 503
    retry_after: str | None = None
    body: bytes = b""


@dataclass(frozen=True)
class Short:
    """The answer states a smaller length and ends there, as if that were all."""

    by_bytes: int = 1


@dataclass(frozen=True)
class Without:
    """The server behind does not get this header of the request, as if it ignored it."""

    header: str


Fault = Cut | Drop | Delay | Busy | Short | Without
WHOLE = Without("Range")  # 200 with all bytes in place of 206


@dataclass(frozen=True)
class Request:
    """A request as it came in. number: from 0 on. headers: found in any case."""

    number: int
    method: str
    path: str
    headers: Message


Choose = Callable[[Request], Fault | None]


def in_turn(faults: Sequence[Fault | None]) -> Choose:
    """The first request gets the first fault, and so on; later ones get none."""
    return lambda request: faults[request.number] if request.number < len(faults) else None


def at_random(seed: int, *, share: float, body_bytes: int = 100_000) -> Choose:
    """A share of the requests, by their number and the seed, gets one of all kinds of faults."""

    def choose(request: Request) -> Fault | None:
        draw = random.Random(f"{seed} {request.number}")
        if draw.random() >= share:
            return None
        kinds: list[Fault] = [
            Cut(draw.randrange(body_bytes)),
            Drop(),
            Delay(),
            Busy(503, "0"),
            Busy(429, "0"),
            Busy(500),
        ]
        return draw.choice(kinds)

    return choose


class FlakyProxy:
    """A proxy in front of the server at `upstream` (http://host:port), until the block ends."""

    def __init__(
        self, upstream: str, choose: Choose, *, context: ssl.SSLContext | None = None
    ) -> None:
        """context: TLS towards the client; the server behind is asked by plain http."""
        self.upstream, self.choose = urlsplit(upstream), choose
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._server = QuietServer(_Handler, self, context)
        self.url = self._server.url

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()

    def note(self, method: str, path: str, headers: Message) -> Request:
        """Record a request, and number it."""
        with self._lock:
            request = Request(len(self.requests), method, path, headers)
            self.requests.append(request)
        return request


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: QuietServer

    def pass_on(self) -> None:
        """Ask the server behind, and give its answer with the fault that was chosen."""
        length = int(self.headers["Content-Length"] or 0)
        body = self.rfile.read(length) if length else None
        proxy: FlakyProxy = self.server.owner
        headers = dict(self.headers.items())
        fault = proxy.choose(proxy.note(self.command, self.path, self.headers))
        if isinstance(fault, Drop):
            self.close_connection = True
            return
        if isinstance(fault, Busy):
            self.send_response(fault.status)
            if fault.retry_after is not None:
                self.send_header("Retry-After", fault.retry_after)
            self.send_header("Content-Length", str(len(fault.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(fault.body)
            return
        if isinstance(fault, Delay):
            time.sleep(fault.seconds)
        if isinstance(fault, Without):
            headers = {
                name: value
                for name, value in headers.items()
                if name.lower() != fault.header.lower()
            }
        status, reason, answered, data = self._answer(headers, body)
        self._give(status, reason, answered, data, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

    def _answer(
        self, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, str, list[tuple[str, str]], bytes]:
        upstream = self.server.owner.upstream
        connection = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=60)
        try:
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in headers.items():
                if name.lower() != "connection":
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.reason, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _give(
        self,
        status: int,
        reason: str,
        headers: list[tuple[str, str]],
        data: bytes,
        fault: Fault | None,
    ) -> None:
        stated = len(data)
        if isinstance(fault, Short):
            data = data[: max(len(data) - fault.by_bytes, 0)]
            stated = len(data)
        self.send_response_only(status, reason)
        for name, value in headers:
            is_length = name.lower() in ("content-length", "transfer-encoding")
            if name.lower() != "connection" and (not is_length or self.command == "HEAD"):
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(stated))
        self.end_headers()
        if self.command == "HEAD":
            return
        if isinstance(fault, Cut) and fault.after_bytes < len(data):
            data = data[: fault.after_bytes]
            self.close_connection = True
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
