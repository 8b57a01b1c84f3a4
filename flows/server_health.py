"""Whether a Prefect server answers."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from pipeline_lib.errors import ServiceUnavailable


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


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/health", timeout=2) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
