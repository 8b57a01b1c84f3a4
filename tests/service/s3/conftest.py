"""One S3 server for a file of tests, which each finds with one empty bucket; `take`, which packs a source of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.settings import Settings
from testing.s3_server import BUCKET, S3Server, environment, s3_server
from testing.sources import SMALL_SHARDS, Taken, take_sources


@pytest.fixture(scope="module")
def running() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def server(running: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3Server:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    running.empty(BUCKET)
    return running


@pytest.fixture
def take(server: S3Server, tmp_path: Path) -> Callable[..., Taken]:
    def take(source: dict[str, Any], out: str = "out", **settings: Any) -> Taken:
        chosen = Settings(**{"workers": 2, "s3_endpoint_url": server.url, **settings})
        return take_sources(tmp_path, (source,), out=out, params=SMALL_SHARDS, settings=chosen)

    return take
