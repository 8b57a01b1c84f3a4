"""Whether a Prefect server answers, and to whom."""

from __future__ import annotations

import base64
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from pipeline_lib.errors import ServiceUnavailable

ask_directly = urllib.request.build_opener(urllib.request.ProxyHandler({})).open  # a proxy would be elsewhere


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], *, log: Path, timeout_s: float, remedy: str) -> None:
    """Return when the server answers. Raises ServiceUnavailable with the last line of its log when it does not."""
    deadline = time.monotonic() + timeout_s
    while not _healthy(url):
        if process.poll() is not None or time.monotonic() > deadline:
            last = (log.read_text(encoding="utf-8").strip().splitlines() or [""])[-1]
            raise ServiceUnavailable(
                "the Prefect server did not start", file=url, value=last, remedy=f"read {log}; {remedy}"
            )
        time.sleep(0.3)


def check_door(url: str, credential: str) -> None:
    """Raises ServiceUnavailable where the server answers without the credential, or not to ours."""
    remedy = "`perennial down` (it ends the runs that are at work), then `perennial up`"
    if _answer(url, {}) == 200:
        raise ServiceUnavailable("the Prefect server there takes orders from anybody", file=url, remedy=remedy)
    if _answer(url, basic_auth(credential)) == 401:
        raise ServiceUnavailable("the Prefect server was started with another credential", file=url, remedy=remedy)


def basic_auth(credential: str) -> dict[str, str]:
    """The header that says the credential."""
    return {"Authorization": f"Basic {base64.b64encode(credential.encode()).decode()}"}


def _answer(url: str, headers: dict[str, str]) -> int:
    """The status of a question that only those who have the credential may ask; 0 without an answer in time."""
    request = urllib.request.Request(f"{url}/api/admin/version", headers=headers)  # noqa: S310 - our own address
    try:
        with ask_directly(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:  # too busy: what follows has retries of its own
        return 0


def _healthy(url: str) -> bool:
    try:
        with ask_directly(f"{url}/api/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
