"""Check that a Prefect server answers, and only to those with the credential."""

from __future__ import annotations

import base64
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from pipeline_lib.errors import ServiceUnavailable

ask_directly = urllib.request.build_opener(
    urllib.request.ProxyHandler({})
).open  # the server is on loopback, which no proxy reaches


def wait_until_healthy(
    url: str, process: subprocess.Popen[bytes], *, log: Path, timeout_s: float, remedy: str
) -> None:
    """Return when the server answers. Raises ServiceUnavailable with the last line of its log when it does not."""
    deadline = time.monotonic() + timeout_s
    while not _healthy(url):
        if process.poll() is not None or time.monotonic() > deadline:
            last = (log.read_text(encoding="utf-8").strip().splitlines() or [""])[-1]
            raise ServiceUnavailable(
                "the Prefect server did not start",
                file=url,
                value=last,
                remedy=f"read {log}; {remedy}",
            )
        time.sleep(0.3)


def check_door(url: str, credential: str) -> None:
    """Check the server's authentication. Raises ServiceUnavailable if it needs no credential or refuses ours."""
    remedy = "run `perennial down` (it stops current runs), then `perennial up`"
    if _answer(url, {}) == 200:
        raise ServiceUnavailable(
            "the Prefect server at this address accepts requests without a credential",
            file=url,
            remedy=remedy,
        )
    if _answer(url, basic_auth(credential)) == 401:
        raise ServiceUnavailable(
            "the Prefect server was started with another credential", file=url, remedy=remedy
        )


def basic_auth(credential: str) -> dict[str, str]:
    """Return the HTTP header with the credential."""
    return {"Authorization": f"Basic {base64.b64encode(credential.encode()).decode()}"}


def _answer(url: str, headers: dict[str, str]) -> int:
    """Return the HTTP status of a request that needs the credential; 0 if no answer comes in time."""
    request = urllib.request.Request(f"{url}/api/admin/version", headers=headers)  # noqa: S310 - our own address
    try:
        with ask_directly(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:  # too busy: later requests have their own retries
        return 0


def _healthy(url: str) -> bool:
    try:
        with ask_directly(f"{url}/api/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
