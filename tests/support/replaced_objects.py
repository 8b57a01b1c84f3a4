"""Objects that somebody puts again while they are read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pipeline_lib.sources import object_bytes


def put_before_the_first_read(
    monkeypatch: pytest.MonkeyPatch,
    put: Callable[[Mapping[str, bytes]], None],
    files: Mapping[str, bytes],
) -> None:
    """Put `files` once, after they were listed and before the first of them is read."""
    left = [files]
    read: Callable[..., Any] = object_bytes.Objects._chunks
    one_at_a_time = threading.Lock()

    def put_and_read(*arguments: Any) -> Any:
        with one_at_a_time:  # other threads read no earlier than this
            if left:
                put(left.pop())
        return read(*arguments)

    monkeypatch.setattr(object_bytes.Objects, "_chunks", put_and_read)
