"""A repository to run commands in."""

from __future__ import annotations

from pathlib import Path

import pytest

from testing.toy_repository import make_toy_repository


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A toy repository that is the current folder; `init` makes no trial of the time there, and finds no cached weights."""
    origin = make_toy_repository(tmp_path / "origin")
    monkeypatch.chdir(origin)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("PERENNIAL_ROOT", "DVC_ROOT", "PERENNIAL_MODEL_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pipeline_lib.survey.try_out", lambda *_: None)
    return origin
