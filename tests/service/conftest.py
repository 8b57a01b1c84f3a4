"""A toy repository with a Prefect server and a worker, started when the first test asks for it; a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from flows.prefect_home import server_url
from testing.served import PATIENCE_MS, Served, free_port
from testing.small_line import make_small_line
from testing.toy_repository import make_toy_repository

REBOUND = "--host-resolver-rules=MAP rebound.example 127.0.0.1"  # a web page's own name, which now points here


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The repository, with a port for its server; whatever runs there is stopped in the end."""
    served = Served(make_toy_repository(tmp_path_factory.mktemp("served") / "origin"), free_port())
    make_small_line(served.origin / ".perennial" / "small_line")
    yield served
    served.perennial("down", check=False)


@pytest.fixture
def served(repository: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The repository with its server up; what a test that fails has asked of its stages is not asked of the next."""
    monkeypatch.delenv("PERENNIAL_ROOT", raising=False)
    if server_url(repository.origin) is None:
        said = repository.perennial("up", "--port", str(repository.port), check=False)
        assert said.returncode == 0, said.stderr
    yield repository
    repository.forget_wishes()


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on the PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", REBOUND]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1300})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()
