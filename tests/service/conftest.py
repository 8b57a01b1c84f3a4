"""A toy repository with a Prefect server and a worker, started when the first test asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flows.prefect_home import server_url
from tests.toy.repository import make_toy_repository
from tests.toy.served import Served, free_port


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The repository, with a port for its server; whatever runs there is stopped in the end."""
    served = Served(make_toy_repository(tmp_path_factory.mktemp("served") / "origin"), free_port())
    yield served
    served.perennial("down", check=False)


@pytest.fixture
def served(repository: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """The repository with its server up."""
    monkeypatch.delenv("PERENNIAL_ROOT", raising=False)
    if server_url(repository.origin) is None:
        said = repository.perennial("up", "--port", str(repository.port), check=False)
        assert said.returncode == 0, said.stderr
    return repository
