"""A toy line in a repository of its own, and the environment in which its stages find pipeline_lib."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tasks import process_group
from tasks.dvc_process import run_dvc
from tasks.workspace import Workspace, create_workspace
from testing.toy_repository import ROOT, make_toy_repository


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for name in ("PERENNIAL_ROOT", "DVC_ROOT"):  # of whoever runs the tests
        monkeypatch.delenv(name, raising=False)
    process_group.STOPPING.clear()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A committed toy repository that was never run."""
    return make_toy_repository(tmp_path / "origin")


@pytest.fixture
def workspace(origin: Path) -> Workspace:
    """A workspace of that repository."""
    return create_workspace(origin, run="night-1", changes={}, branch=None, with_edits=False)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose eight stages have run, with lines of dvc thrown away. Not to be changed."""
    process_group.STOPPING.clear()
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(ROOT))
    origin = make_toy_repository(tmp_path_factory.mktemp("finished") / "origin")
    workspace = create_workspace(origin, run="night-0", changes={}, branch=None, with_edits=False)
    run_dvc(["repro"], workspace, name="line", on_line=lambda line: None)
    patch.undo()
    return workspace
