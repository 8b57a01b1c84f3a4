"""`take`, as in testing/taking.py, and `nightly`."""

from __future__ import annotations

from typing import Any

import pytest

from testing.sources import SMALL_SHARDS, Take, Taken
from testing.taking import take

__all__ = ["nightly", "take"]


@pytest.fixture
def nightly(take: Take) -> Take:
    """Take sources, and keep what was read and written for the next run, as DVC does."""

    def nightly(*sources: dict[str, Any], **settings: Any) -> Taken:
        taken = take(*sources, **settings)
        taken.keep(settings.get("params", SMALL_SHARDS))
        return taken

    return nightly
