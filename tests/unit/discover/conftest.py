"""`discover`: the stage run in a folder of the test, without DVC."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.discover.params import DiscoverParams
from pipeline_lib.discover.run import run
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.settings import Settings

PARAMS = """\
discover: {sources: [{name: pics, uri: pics}]}
download: {}
inspect: {}
curate: {}
convert: {}
train: {}
evaluate: {}
register: {}
"""
OWN = frozenset(DiscoverParams.model_fields)


@pytest.fixture
def discover(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """Run discover on sources given as dicts; returns what it wrote, by role."""

    def discover(*sources: dict[str, Any], **params_or_settings: Any) -> dict[str, Path]:
        given = {key: params_or_settings.pop(key) for key in OWN & set(params_or_settings)}
        params = DiscoverParams.model_validate(
            {"sources": [{"name": "pics", **one} for one in sources], **given}
        )
        (tmp_path / "params.yaml").write_text(PARAMS)
        writes = {
            "listing": tmp_path / "line" / "listing.parquet",
            "sources": tmp_path / "line" / "sources.json",
        }
        run(StageRun(tmp_path, {}, writes, params, Settings(**params_or_settings)))
        return writes

    return discover
