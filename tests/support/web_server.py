"""A web server on loopback for tests: files with ETags and ranges, and answers that a test chooses."""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from tests.support.quiet_server import QuietServer


@dataclass(frozen=True)
class Answer:
    """What a path answers in place of its file."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]


class WebServer:
    """Serve `files` by path, until the block ends. answers: by path, or a function of the request, before files.

    versions: how answers name their version: "etag" (strong), "date", "weak" or "none". knows: ranges, preconditions.
    """

    def __init__(
        self,
        files: dict[str, bytes],
        *,
        versions: str = "etag",
        ranges: bool = True,
        preconditions: bool = True,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.files, self.versions = files, versions
        self.ranges, self.preconditions = ranges, preconditions
        self.answers: dict[str, Answer | Callable[[Asked], Answer | None]] = {}
        self.kinds: dict[str, str] = {}
        self.asked: list[Asked] = []
        self._server = QuietServer(_Handler, self, context)
        self.port, self.url = self._server.server_port, self._server.url

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()

    def version_headers(self, data: bytes) -> dict[str, str]:
        """The headers that name the version of these bytes."""
        digest = hashlib.sha256(data).hexdigest()
        seconds = int(digest[:4], 16) % 60
        return {
            "etag": {"ETag": f'"{digest[:16]}"'},
            "date": {"Last-Modified": f"Wed, 21 Oct 2015 07:28:{seconds:02d} GMT"},
            "weak": {"ETag": f'W/"{digest[:16]}"'},
            "none": {},
        }[self.versions]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: QuietServer

    def do_GET(self) -> None:
        web: WebServer = self.server.owner
        path = self.path.partition("?")[0].lstrip("/")
        asked = Asked(self.command, self.path, dict(self.headers.items()))
        web.asked.append(asked)
        chosen = web.answers.get(path)
        answer = chosen(asked) if callable(chosen) else chosen
        self._give(answer or self._file(web, path), path)

    do_HEAD = do_GET

    def _file(self, web: WebServer, path: str) -> Answer:
        if path not in web.files:
            return Answer(404)
        data = web.files[path]
        headers = web.version_headers(data)
        wanted = self.headers["If-Match"], self.headers["If-Unmodified-Since"]
        is_other = (wanted[0] and wanted[0] != headers.get("ETag")) or (
            wanted[1] and wanted[1] != headers.get("Last-Modified")
        )
        if web.preconditions and is_other:
            return Answer(412)
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        if found and web.ranges:
            start, end = int(found[1]), int(found[2] or len(data))
            if start >= len(data):
                return Answer(416, {"Content-Range": f"bytes */{len(data)}"})
            part = data[start : end + 1]
            stated = f"bytes {start}-{start + len(part) - 1}/{len(data)}"
            return Answer(206, {**headers, "Content-Range": stated}, part)
        return Answer(200, headers, data)

    def _give(self, answer: Answer, path: str) -> None:
        self.send_response(answer.status)
        self.send_header(
            "Content-Type", self.server.owner.kinds.get(path, "application/octet-stream")
        )
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
