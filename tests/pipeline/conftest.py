"""The finished line that the tests of this folder start from: made once, copied by each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_lib.files.process_lock import process_lock
from testing.checkout import Checkout, commit, throw_away_checkout

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here runs stages through dvc."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.pipeline)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id_or_main: str) -> Checkout:
    """The planted digits brought to a registered model, from nothing. Never change it: use `line`.

    Three epochs, for the time; `make demo` trains in full and is graded. Under pytest-xdist the workers share one.
    """
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if worker_id_or_main != "main" else shared
    done, folder = shared / "finished-line.done", shared / "finished-line"
    with process_lock(shared / "finished-line.lock"):
        if not done.exists():
            checkout = throw_away_checkout(folder)
            checkout.python("demo.plant")
            checkout.shorten_training(3)
            checkout.repro()
            commit(checkout, "The first run")
            done.touch()
    return Checkout(folder)


@pytest.fixture(scope="session")
def worker_id_or_main(request: pytest.FixtureRequest) -> str:
    """The name of the pytest-xdist worker, "main" without one."""
    return str(getattr(request.config, "workerinput", {}).get("workerid", "main"))


@pytest.fixture
def line(finished: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished line, to be changed at will."""
    return finished.copy_to(tmp_path / "line")
