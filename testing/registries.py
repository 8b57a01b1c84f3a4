"""One MLflow database for all tests of a session (making one takes five CPU-seconds), one model name per test."""

import itertools
import logging
from pathlib import Path

import pytest

NAMES = itertools.count(1)


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('registry') / 'registry.db'}"


@pytest.fixture(scope="session")
def other_database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database that never heard of what the first one holds: that of a fresh clone."""
    return f"sqlite:///{tmp_path_factory.mktemp('other_registry') / 'registry.db'}"


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch, database: str) -> str:
    """A model name that nothing is registered under; settings name it and the database."""
    name = f"model-{next(NAMES)}"
    monkeypatch.setenv("PERENNIAL_MODEL_NAME", name)
    monkeypatch.setenv("PERENNIAL_REGISTRY_URI", database)
    return name


@pytest.fixture
def checkout(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> Path:
    """An empty folder with an empty registry."""
    caplog.set_level(logging.INFO)
    return tmp_path / "checkout"
