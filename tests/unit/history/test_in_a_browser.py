"""The page of all nights in a real browser, from disk: from a night to its report by click and by key, on a phone, on paper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline_lib.history import History, Night, write_page
from pipeline_lib.history.night import ChangeCounts, Cost, Images, Outcome, Score
from testing.browser import IN_A_BROWSER, PHONE, browser, opened

__all__ = ["browser"]
pytestmark = IN_A_BROWSER
EVIL = "<img src=x onerror='window.pwned=1'>"
REPORT = "<!doctype html><title>report</title><a href='../history.html'>History</a>"


def night(number: int) -> Night:
    """Every fifth one failed; each of the others has a report."""
    when = f"2026-{number // 28 + 1:02d}-{number % 28 + 1:02d}T02:00:00+00:00"
    if number % 5 == 4:
        return Night(when, "", "failed", f"{EVIL} \u202e", cost=Cost(7.0, 1.0, 0.0))
    top1 = 0.8 + number / 1000
    return Night(
        when,
        "",
        "promote",
        f"Promoted to champion: {EVIL}",
        version=number,
        score=Score(top1, top1 - 0.02, top1 + 0.02, 100),
        champion=number,
        champion_top1=top1,
        images=Images(110, 100),
        since=when,
        changed=ChangeCounts(1, 0, 0, 0, 2, 99, 100),
        cost=Cost(60.0, 50.0, 0.0),
        report=f"{number:012d}/report.html",
    )


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of 150 nights beside their reports."""
    folder = tmp_path_factory.mktemp("reports")
    nights = tuple(night(number) for number in range(150))
    for one in nights:
        if one.report:
            (folder / one.report).parent.mkdir()
            (folder / one.report).write_text(REPORT)
    write_page(History(EVIL, nights, 148, "2026-11-30T00:00:00+00:00"), folder)
    return folder


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def page(browser: Browser, reports: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    with opened(browser, viewport=PHONE, java_script_enabled=request.param) as page:
        page.goto((reports / "history.html").as_uri())
        yield page


def test_a_mark_leads_to_the_report_of_its_night_and_back(page: Page) -> None:
    mark = page.locator('section a[href="000000000148/report.html"]').first
    mark.scroll_into_view_if_needed()
    mark.click()

    expect(page).to_have_title("report")
    page.get_by_role("link", name="History").click()
    expect(page.locator("h1")).to_contain_text("150 nights of")


def test_the_keyboard_alone_goes_from_a_mark_to_a_report(page: Page) -> None:
    page.locator('section a[href="000000000147/report.html"]').first.focus()
    page.keyboard.press("Tab")  # the next night
    page.keyboard.press("Enter")

    expect(page).to_have_title("report")
    assert "000000000148" in page.url


def test_a_failed_night_leads_to_its_row_which_says_why(page: Page) -> None:
    page.locator('section a[href="#night-150"]').first.click()

    expect(page.locator("#night-150 small").first).to_contain_text(EVIL)
    expect(page.locator("#night-150 small").first).to_contain_text("\\u202e")


def test_a_column_of_all_nights_opens_the_part_that_holds_them(page: Page) -> None:
    old = page.locator("#night-2")
    expect(old).to_be_hidden()

    page.locator(".bin").first.locator("xpath=..").click(force=True)

    expect(old).to_be_visible()


def test_the_page_is_as_wide_as_a_phone_shows_the_newest_nights_and_runs_no_name(
    browser: Browser, reports: Path
) -> None:
    with opened(browser, viewport=PHONE) as page:
        page.goto((reports / "history.html").as_uri())

        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("window.pwned") is None
        box = page.locator('section a[href="000000000148/report.html"] circle').first.bounding_box()
        assert box is not None and 0 < box["x"] < 390  # the end of the chart, not its beginning
        expect(page.locator("h1 bdi")).to_have_text(EVIL)


def test_on_paper_the_newest_nights_are_printed(browser: Browser, reports: Path) -> None:
    page = browser.new_page()
    page.goto((reports / "history.html").as_uri())
    page.emulate_media(media="print")

    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()


def test_nights_that_differ_in_verdict_differ_in_shape(browser: Browser, tmp_path: Path) -> None:
    kinds: tuple[Outcome, ...] = ("promote", "waiting", "candidate", "inconclusive", "reject")
    nights = [replace(night(n), outcome=kind, report="") for n, kind in enumerate(kinds)]
    write_page(History("m", tuple(nights), None, "2026-11-30T00:00:00+00:00"), tmp_path)
    with opened(browser) as page:
        page.goto((tmp_path / "history.html").as_uri())

        drawn = page.evaluate(
            "[...document.querySelectorAll('section svg a .m')]"
            ".map(m => m.tagName + m.classList.contains('open') + (m.getAttribute('d') || '').replace(/^M[0-9. ]*/, ''))"
        )
    assert len(set(drawn)) == 5
