"""What the tests of S3 ask of a place there, and what of a proxy in front of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline_lib.discover.listing import list_sources
from pipeline_lib.settings import Settings
from pipeline_lib.sources.places import BucketPlace, s3_place
from pipeline_lib.sources.source import Source
from tests.support.flaky_proxy import Fault, FlakyProxy, Request


def listed(uri: str, url: str | None, **settings: Any) -> Any:
    return list_sources(
        (Source(name="pics", uri=uri),), Settings(s3_endpoint_url=url, **settings), root=Path()
    ).frame


def gets(proxy: FlakyProxy) -> list[Request]:
    return [one for one in proxy.requests if one.method == "GET" and "list-type" not in one.path]


def only_gets(*faults: Fault | None) -> Callable[[Request], Fault | None]:
    """Faults for the reads alone, in turn."""
    left = list(faults)

    def choose(request: Request) -> Fault | None:
        is_read = request.method == "GET" and "list-type" not in request.path
        return left.pop(0) if is_read and left else None

    return choose


def place_at(url: str, uri: str) -> tuple[BucketPlace, Any]:
    place = s3_place(uri, Settings(s3_endpoint_url=url))
    return place, next(iter(place.list()))
