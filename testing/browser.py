"""A headless browser for pages that lie on disk: offline, and whatever it complains of or asks a network for is noted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

CHROMIUM = shutil.which("chromium")
PHONE: ViewportSize = {"width": 390, "height": 844}
IN_A_BROWSER = [  # marks of a test module
    pytest.mark.service,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no chromium on the PATH: apt-get install chromium"
    ),
]
expect.set_options(timeout=60_000)  # ms: a machine that tests may have other work


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page of a context of its own; a complaint of the browser or a request of a network fails the test."""
    context = browser.new_context(offline=True, **options)
    page = context.new_page()
    said: list[str] = []
    note_complaints(page, said)
    yield page
    context.close()
    assert said == []


def note_complaints(page: Page, said: list[str]) -> None:
    """From now on, note what the browser says in its console, and what it asks a network for."""
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda asked: said.append(asked.url) if is_of_a_network(asked.url) else None)


def is_of_a_network(url: str) -> bool:
    return not url.startswith(("file:", "data:", "blob:", "about:"))
