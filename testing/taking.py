"""`take`: discover and download sources below the test's own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.download.params import DownloadParams
from pipeline_lib.settings import Settings
from testing.sources import SMALL_SHARDS, Take, Taken, take_sources


@pytest.fixture
def take(tmp_path: Path) -> Take:
    """Take sources given as dicts; further arguments are settings."""

    def take(
        *sources: dict[str, Any],
        out: str = "out",
        params: DownloadParams = SMALL_SHARDS,
        **settings: Any,
    ) -> Taken:
        return take_sources(
            tmp_path,
            sources,
            out=out,
            params=params,
            settings=Settings(**{"workers": 2, **settings}),
        )

    return take
