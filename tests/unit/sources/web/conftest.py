"""A web server with one file; no pause is made, and no proxy of this machine is used."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline_lib.sources.web import connections
from tests.support.web_server import WebServer
from tests.unit.sources.web.asking import DATA


@pytest.fixture(autouse=True)
def slept_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses, which are noted and not made; no proxy of this machine."""
    slept: list[float] = []
    monkeypatch.setattr("pipeline_lib.sources.web.exchange.time.sleep", slept.append)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", *connections.CA_VARIABLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return slept


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer({"a.tar": DATA}) as server:
        yield server
