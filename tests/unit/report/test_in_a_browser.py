"""The report in a real browser, from disk: from a number to its images by click and by key, on a phone, on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline_lib.report.bundle import write_single_file
from testing.browser import IN_A_BROWSER, PHONE, browser, opened
from tests.unit.report.test_pages import EVIL, NAMES, report

__all__ = ["browser", "report"]
pytestmark = IN_A_BROWSER


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def page(browser: Browser, report: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The first page on a phone."""
    with opened(browser, viewport=PHONE, java_script_enabled=request.param) as page:
        page.goto((report / "report.html").as_uri())
        yield page


def test_a_cell_of_the_matrix_leads_to_its_images(page: Page) -> None:
    page.locator(".grid tbody tr").nth(1).locator("td").nth(2).get_by_role("link").click()

    expect(page.locator("h2").first).to_contain_text(f"Taken for {NAMES[2][:5]}")
    assert page.url.endswith("class-1.html#as-2")
    images = page.locator("figure img")
    expect(images.first).to_be_visible()
    expect(page.locator("figcaption .name").first).to_have_text("green/037.png")
    page.get_by_role("link", name="m · version 2").click()
    expect(page.locator(".pill")).to_have_text("Held")


def test_the_keyboard_alone_goes_from_the_number_of_mistakes_to_a_class(page: Page) -> None:
    mistakes = page.locator(".tiles").get_by_role("link", name="3", exact=True)
    mistakes.focus()
    page.keyboard.press("Enter")

    expect(page.locator("h1")).to_have_text("Mistakes")
    expect(page.locator("figure")).to_have_count(3)
    page.keyboard.press("Tab")  # skips to the content first
    expect(page.locator(".skip")).to_be_focused()


def test_the_image_of_a_mistake_leads_to_those_like_it_and_a_word_to_its_meaning(
    page: Page,
) -> None:
    page.locator("figure img").first.click(force=True)  # what lies over it is the link
    expect(page).to_have_url(re.compile(r"class-\d\.html#as-\d$"))

    page.get_by_role("link", name="recall").first.click()
    expect(page).to_have_url(re.compile("words.html#recall$"))
    expect(page.locator("dt:target")).to_have_text("recall")


def test_no_page_is_wider_than_a_phone_and_no_name_runs(browser: Browser, report: Path) -> None:
    context = browser.new_context(offline=True, viewport=PHONE)
    page = context.new_page()
    for file in sorted(report.rglob("*.html")):
        page.goto(file.as_uri())

        assert page.evaluate("document.documentElement.scrollWidth") <= 390, file.name
        assert page.evaluate("window.pwned") is None
        assert (
            page.evaluate("[...document.images].filter(i => !i.src.endsWith('.webp')).length") == 0
        )
    page.goto((report / "pages/class-0.html").as_uri())
    expect(page.locator("h1 bdi").first).to_have_text(EVIL)
    context.close()


def test_every_thumbnail_is_drawn_and_the_policy_lets_no_other_style_in(
    browser: Browser, report: Path
) -> None:
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto((report / "pages/class-1.html").as_uri())

    page.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
    page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert page.evaluate("getComputedStyle(document.body).margin") == "0px"  # the style was taken
    refused = page.evaluate(
        "new Promise(done => { document.addEventListener('securitypolicyviolation', e => done(e.effectiveDirective));"
        " const s = document.createElement('img'); s.src = 'https://example.org/x.png'; document.body.append(s); })"
    )
    assert refused == "img-src"
    context.close()


def test_on_paper_no_heading_is_parted_from_what_it_heads(browser: Browser, report: Path) -> None:
    page = browser.new_page()
    page.goto((report / "report.html").as_uri())
    page.emulate_media(media="print")

    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.grid td')).printColorAdjust")
        == "exact"
    )
    assert page.evaluate("getComputedStyle(document.querySelector('h2')).breakAfter") == "avoid"
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()


def test_the_report_as_one_file_shows_one_page_at_a_time_and_works_by_click(
    browser: Browser, report: Path, tmp_path: Path
) -> None:
    write_single_file(report, tmp_path / "one.html")
    with opened(browser, java_script_enabled=False) as page:
        page.goto((tmp_path / "one.html").as_uri())
        check_one_file(page, report)


def check_one_file(page: Page, report: Path) -> None:
    expect(page.locator(".pill")).to_be_visible()
    expect(page.locator(".page:visible")).to_have_count(1)
    page.locator(".grid tbody tr").nth(1).locator("td").nth(2).get_by_role("link").click()
    expect(page.locator("#class-1--as-2")).to_be_visible()
    expect(page.locator(".page:visible")).to_have_count(1)
    expect(page.locator(".pill")).to_be_hidden()
    expect(page.locator("#class-1 figure img").first).to_be_visible()
    page.locator("#class-1").get_by_role("link", name="m · version 2").click()
    expect(page.locator(".pill")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="mistakes.csv").first.click()
    assert Path(download.value.path()).read_bytes() == (report / "mistakes.csv").read_bytes()
