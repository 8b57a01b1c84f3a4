"""What the tests of web servers ask, and the one file that is there."""

from __future__ import annotations

from typing import Any

from pipeline_lib.settings import Settings
from pipeline_lib.sources.web.exchange import Exchange
from pipeline_lib.sources.web.headers import Version
from pipeline_lib.sources.web.urls import Url, parse_url

DATA = bytes(range(256)) * 40
SECRET = "a-token-that-must-not-be-shown"


def at(address: str) -> Url:
    return parse_url(address, file="params.yaml")


def exchange_for(*addresses: str, **settings: Any) -> Exchange:
    return Exchange(Settings(**settings), frozenset(at(one).origin for one in addresses))


def copied(address: str, version: Version | None = None, start: int = 0) -> bytes:
    """The bytes from `start` on, as `copy` gives them."""
    url, one, data = at(address), exchange_for(address), bytearray()
    version = version or one.look(url)
    size_bytes = version.size_bytes - start
    one.copy(
        url, version, start=start, size_bytes=size_bytes, write=data.extend, restart=data.clear
    )
    return bytes(data)
