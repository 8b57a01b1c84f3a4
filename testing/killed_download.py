"""Downloads from an S3 server that are killed again and again, each in a process of its own."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from threading import Event, Lock
from typing import Any, Protocol

from pipeline_lib.download.params import DownloadParams
from pipeline_lib.settings import Settings
from pipeline_lib.sources.arriving import PIECE_BYTES
from testing.s3_server import BUCKET, CREDENTIALS, s3_server
from testing.sources import Taken, images, take_sources, tar_of

PREFIX = "set"
SHARDS = DownloadParams(shard_min_bytes=20_000, shard_target_bytes=80_000, shard_max_bytes=160_000)
MOST_TRIES = 10  # of an undisturbed run behind a proxy that breaks answers


class Request(Protocol):
    """A request that a proxy has seen."""

    @property
    def method(self) -> str: ...
    @property
    def headers(self) -> Message: ...


class Proxy(Protocol):
    """What is asked of a proxy: its address, and the requests that it has seen."""

    url: str

    @property
    def requests(self) -> Sequence[Request]: ...


class HeldProxy(Proxy, Protocol):
    """A proxy that can be told what happens to a request."""

    choose: Callable[[Any], Any]


@dataclass(frozen=True)
class Killings:
    """killed: runs that were killed at work. ended: runs that were quicker. failed: runs that the proxy made give up.

    half_written: kills after which members.parquet was there without all that it names.
    """

    killed: int
    ended: int
    failed: int
    half_written: int
    taken: Taken


@contextmanager
def served(folder: Path, n_images: int, *, large_bytes: int = 0) -> Iterator[str]:
    """Serve images and an archive of images by moto; gives the server's address.

    large_bytes: of a further archive, `large.tar` beside the images' prefix; 0 for none.
    """
    with s3_server(BUCKET) as server:
        server.put(images(n_images, size_bytes=4000), f"{PREFIX}/")
        archive = tar_of(folder / "more.tar", images(100, size_bytes=9000)).read_bytes()
        server.put({f"{PREFIX}/more.tar": archive})
        if large_bytes:
            parts = images(8, size_bytes=large_bytes // 8)
            server.put({"large.tar": tar_of(folder / "large.tar", parts).read_bytes()})
        yield server.url


def download_once(folder: Path, url: str) -> Taken:
    """Download in a process of its own, undisturbed. Raises CalledProcessError."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(_command(folder, url), env=_environment(), check=True, capture_output=True)
    return Taken(folder / "out")


def kill_downloads(folder: Path, proxy: Proxy, *, kills: int, rng: random.Random) -> Killings:
    """Kill downloads at work until `kills` were hit, each after a random number of further requests; then let one end.

    A run that was quicker is counted, and the next begins from nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    killed = ended = failed = half_written = 0
    while killed < kills:
        seen, more = len(proxy.requests), rng.randrange(1, 120)
        with (folder / "runs.log").open("ab") as log:
            run = subprocess.Popen(_command(folder, proxy.url), env=_environment(), stderr=log)
        while run.poll() is None and len(proxy.requests) < seen + more:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.05))
        run.send_signal(signal.SIGKILL)
        code = run.wait()
        if code == -signal.SIGKILL:
            killed += 1
            half_written += not _is_whole(folder / "out")
        elif code:
            failed += 1
        else:
            ended += 1
            for name in ("out", ".perennial"):
                shutil.rmtree(folder / name)
    for tries_left in reversed(range(MOST_TRIES)):
        try:
            taken = download_once(folder, proxy.url)
            break
        except subprocess.CalledProcessError:
            failed += 1
            if not tries_left:
                raise
    return Killings(killed, ended, failed, half_written, taken)


@dataclass(frozen=True)
class Resumed:
    """An archive of which a first run was killed. Bytes: of the archive, there at the kill, and moved by the second run."""

    whole_bytes: int
    there_bytes: int
    moved_bytes: int
    taken: Taken


def kill_amid_an_archive(folder: Path, proxy: HeldProxy, *, after_pieces: int) -> Resumed:
    """Kill the download of one archive (key `large.tar`) once some pieces of it are there, and let a second run end.

    The proxy answers no further piece until the kill, so that nothing depends on the moment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = Held(after_pieces)
    proxy.choose = held
    run = subprocess.Popen(_command(folder, proxy.url, "large.tar"), env=_environment())
    notes = folder / ".perennial" / "unfinished"
    while _n_pieces(notes) < after_pieces:
        assert run.poll() is None, "the run ended before it was killed"
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    held.go_on()
    seen = len(proxy.requests)
    there_bytes = _n_pieces(notes) * PIECE_BYTES
    subprocess.run(_command(folder, proxy.url, "large.tar"), env=_environment(), check=True)
    moved_bytes = sum(map(asked_bytes, proxy.requests[seen:]))
    taken = Taken(folder / "out")
    [container] = (taken.folder / "shards").iterdir()
    return Resumed(container.stat().st_size, there_bytes, moved_bytes, taken)


class Held:
    """Lets some requests for pieces pass, and the others wait until `go_on`."""

    def __init__(self, n_passing: int) -> None:
        self._left, self._lock, self._went_on = n_passing, Lock(), Event()

    def __call__(self, request: Request) -> None:
        """As `Choose` of tests/support/flaky_proxy.py: no fault."""
        if not asked_bytes(request):
            return
        with self._lock:
            self._left -= 1
            passes = self._left >= 0
        if not passes:
            self._went_on.wait()

    def go_on(self) -> None:
        """Let all pass."""
        self._went_on.set()


def asked_bytes(request: Request) -> int:
    """The length of the range that a request asks for; 0 without one."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["Range"] or "")
    return int(asked[2]) - int(asked[1]) + 1 if asked and request.method == "GET" else 0


def _n_pieces(unfinished: Path) -> int:
    return sum(len(one.read_text().splitlines()) for one in unfinished.glob("*.pieces"))


def _is_whole(out: Path) -> bool:
    """Whether the tables are absent, or name containers that are there."""
    if not (out / "members.parquet").exists():
        return True
    containers = Taken(out).members["container"].dropna().unique()
    return all((out / "shards" / name).exists() for name in containers)


def _command(folder: Path, url: str, key: str = PREFIX) -> list[str]:
    return [sys.executable, "-m", "testing.killed_download", str(folder), url, key]


def _environment() -> dict[str, str]:
    return {**os.environ, **CREDENTIALS, "AWS_CONFIG_FILE": os.devnull}


def main() -> int:
    """One download, which may be killed: FOLDER URL KEY."""
    folder, url, key = sys.argv[1:]
    settings = Settings(workers=2, s3_endpoint_url=url)
    source = {"uri": f"s3://{BUCKET}/{key}"}
    take_sources(Path(folder), (source,), out="out", params=SHARDS, settings=settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
