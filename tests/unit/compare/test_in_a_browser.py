"""The page of a comparison in a real browser, from disk: to the reports by click, on a phone, names as text."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from pipeline_lib.compare.page import write_comparison
from pipeline_lib.history import gather, write_page
from pipeline_lib.registry import Registry
from pipeline_lib.settings import Settings
from testing.browser import IN_A_BROWSER, PHONE, browser, opened
from tests.unit.compare.test_compare import EVIL, compared, registry, shop

__all__ = ["browser", "registry", "shop"]
pytestmark = IN_A_BROWSER


@pytest.fixture
def page_file(registry: Registry) -> Path:
    page = write_comparison(compared(registry), registry, keep=5, workers=1)
    write_page(gather(registry, Settings()), registry.state_folder / "reports")
    return page


def test_flips_are_shown_and_the_reports_of_both_are_a_click_away(
    browser: Browser, page_file: Path
) -> None:
    with opened(browser, viewport=PHONE, java_script_enabled=False) as page:
        page.goto(page_file.as_uri())

        expect(page.locator("#flips + p + .panel figure")).to_have_count(2)
        expect(page.locator("figcaption .name").first).to_be_visible()
        page.locator(".tiles").get_by_role("link", name="version 1").click()
        expect(page.locator(".pill")).to_be_visible()
        page.get_by_role("link", name="History").click()
        expect(page.locator("h1")).to_contain_text("nights of")
        page.locator('td a[href="../comparisons/version-1--version-2/compare.html"]').click()
        expect(page.locator("#flips")).to_be_visible()


def test_the_page_is_as_wide_as_a_phone_draws_every_image_and_runs_no_name(
    browser: Browser, page_file: Path
) -> None:
    with opened(browser, viewport=PHONE) as page:
        page.goto(page_file.as_uri())
        page.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
        page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth > 0)")

        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("window.pwned") is None
        expect(page.locator("#data ~ .panel td bdi", has_text=EVIL).first).to_be_visible()
