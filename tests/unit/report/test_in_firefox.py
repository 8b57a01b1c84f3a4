"""The report in Firefox, from disk: the same ways from a number to its images as in Chromium."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline_lib.report.bundle import write_single_file
from testing.firefox import Firefox, firefox
from tests.unit.report.test_pages import EVIL, NAMES, report

__all__ = ["report"]
FIREFOX = shutil.which("firefox") or shutil.which("firefox-esr")
ENTER = "\ue007"
pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(
        FIREFOX is None, reason="no firefox on the PATH: apt-get install firefox-esr"
    ),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    assert FIREFOX
    with firefox(FIREFOX, tmp_path_factory.mktemp("profile")) as browser:
        browser.size(390, 844)
        yield browser
        assert browser.said == []
        assert browser.asked == []


def test_a_cell_leads_to_its_images_and_the_page_back_to_the_verdict(
    browser: Firefox, report: Path
) -> None:
    browser.open((report / "report.html").as_uri())

    browser.click(".grid tbody tr:nth-child(2) td:nth-child(4) a")
    browser.wait_for("location.href.endsWith('class-1.html#as-2')")
    taken = json.dumps(f"Taken for {NAMES[2][:5]}")
    browser.wait_for(f"document.querySelector('h2').textContent.startsWith({taken})")
    browser.wait_for("document.querySelector('figure img').naturalWidth > 0")
    browser.click("nav b a")
    browser.wait_for("document.querySelector('.pill')?.textContent === 'Held'")


def test_the_image_of_a_mistake_leads_to_those_like_it_and_a_word_to_its_meaning(
    browser: Firefox, report: Path
) -> None:
    browser.open((report / "pages" / "mistakes.html").as_uri())

    browser.click("figure img")
    browser.wait_for("/class-\\d.html#as-\\d$/.test(location.href)")
    browser.click(".word[href$='#recall']")
    browser.wait_for("location.hash === '#recall'")
    # A page's address is there before its content.
    browser.wait_for(
        "document.querySelector(':target').nextElementSibling.textContent.includes('recognises')"
    )


def test_the_keyboard_opens_the_mistakes(browser: Firefox, report: Path) -> None:
    browser.open((report / "report.html").as_uri())
    browser.value("document.querySelector('.tiles div:nth-child(4) a').focus()")

    browser.press(ENTER)

    browser.wait_for("document.querySelector('h1').textContent === 'Mistakes'")


def test_no_page_is_wider_than_a_phone_and_no_name_runs(browser: Firefox, report: Path) -> None:
    for file in sorted(report.rglob("*.html")):
        browser.open(file.as_uri())

        assert browser.value("document.documentElement.scrollWidth") <= 390, file.name
        assert browser.value("typeof window.pwned") == "undefined"
    browser.open((report / "pages/class-0.html").as_uri())
    assert browser.value("document.querySelector('h1 bdi').textContent") == EVIL


def test_one_file_shows_one_page_at_a_time(browser: Firefox, report: Path, tmp_path: Path) -> None:
    write_single_file(report, tmp_path / "one.html")
    shown = (
        "[...document.querySelectorAll('.page')].filter(p => p.offsetHeight).map(p => p.id).join()"
    )
    browser.open((tmp_path / "one.html").as_uri())

    assert browser.value(shown) == "report"
    browser.click("#report .grid tbody tr:nth-child(2) td:nth-child(4) a")
    browser.wait_for(f"{shown} === 'class-1'")
