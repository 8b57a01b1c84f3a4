"""The review page in a real browser, from disk: keys, undo, reload, download; what comes from data never runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from pipeline_lib.review import gather, read_answers, render_page
from testing.browser import IN_A_BROWSER, browser, note_complaints
from tests.unit.review.conftest import EVIL, FORMULA

__all__ = ["browser"]
pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module")
def browser_context(browser: Browser) -> BrowserContext:
    """One for all tests: what a page keeps lasts over its reload."""
    return browser.new_context(accept_downloads=True, offline=True)


@pytest.fixture(scope="module")
def address(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the page lies on disk."""
    file = tmp_path_factory.mktemp("page") / "index.html"
    file.write_text(render_page(gather(files, most=100), name=EVIL))
    return file.as_uri()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser said in its console."""
    return []


@pytest.fixture
def page(browser_context: BrowserContext, address: str, complaints: list[str]) -> Iterator[Page]:
    """The page, opened as if for the first time; a complaint of the browser fails the test."""
    page = browser_context.new_page()
    note_complaints(page, complaints)
    page.goto(address)
    page.evaluate("localStorage.clear()")
    page.reload()
    yield page
    page.close()
    assert complaints == []


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def downloaded(page: Page) -> list[tuple[str, str, str, str]]:
    """key, action, value, expected_old of every line that the page gives out."""
    with page.expect_download() as download:
        press(page, "d")
    file = Path(download.value.path())
    return [
        (a.key, a.action, a.value, a.expected_old) for a in read_answers(file.read_text(), file)
    ]


def test_a_review_with_keys_alone_gives_the_lines_it_means(page: Page) -> None:
    press(page, "2")  # the suggestion
    press(page, "c", "d", "o", "g", "Enter")  # another class, by typing
    press(page, "x")  # a twin is removed
    press(page, "n")  # not a duplicate
    press(page, " ")  # the broken file is skipped
    press(page, "1")  # the last one is right

    expect(page.locator("#count")).to_have_text("6 of 6 answered")
    assert downloaded(page) == [
        ("a1", "relabel", "dog", "cat"),
        ("a2", "relabel", "dog", FORMULA),
        ("s/twin1.jpg", "remove", "", "dog"),
        ("a3", "not_duplicate", "", "dog"),
        ("a4", "keep", "", "dog"),
    ]


def test_a_name_that_would_turn_text_around_is_shown_with_its_escape_and_answered_as_it_is(
    browser_context: BrowserContext, files: dict[str, Path], tmp_path: Path
) -> None:
    found = gather(files, most=100)
    hostile = replace(
        found.asked[0],
        image_id="s/\u202egpj.exe",
        given="cat\u202e",
        suggested="כלב",
        note="is cat\u202e",
    )
    (tmp_path / "x.html").write_text(
        render_page(replace(found, asked=(hostile,)), name="pets\u202e")
    )
    page = browser_context.new_page()
    page.goto((tmp_path / "x.html").as_uri())

    seen = page.locator("body").inner_text()

    assert "\u202e" not in seen
    for name in ("pets\\u202e", "s/\\u202egpj.exe", "labelled cat\\u202e → כלב", "is cat\\u202e"):
        assert name in seen
    expect(page.locator("#labels bdi")).to_have_text(["cat\\u202e", "כלב"])
    expect(page.locator("#name bdi")).to_have_count(1)
    assert page.locator("[title*='\u202e'], [alt*='\u202e'], [aria-label*='\u202e']").count() == 0
    press(page, "2")
    assert downloaded(page) == [(hostile.key, "relabel", "כלב", "cat\u202e")]
    page.close()


def test_keys_that_do_not_fit_a_question_do_nothing(page: Page) -> None:
    press(page, "n", "5")

    expect(page.locator("#count")).to_have_text("0 of 6 answered")
    press(page, "j", "j", "j", "j")
    expect(page.locator("#name")).to_have_text("s/broken.jpg")
    press(page, "1", "2", "3")
    expect(page.locator("#count")).to_have_text("0 of 6 answered")


def test_undo_goes_back_answer_by_answer_to_what_was_said_before(page: Page) -> None:
    press(page, "1", "k", "2")  # right; back; no, the suggestion
    expect(page.locator("#place")).to_have_text("2 of 6")

    press(page, "u")

    expect(page.locator("#place")).to_have_text("1 of 6")
    assert downloaded(page) == [("a1", "keep", "", "cat")]
    press(page, "Control+z")
    assert downloaded(page) == []
    expect(page.locator("#undo")).to_be_disabled()


def test_answers_survive_a_reload_and_the_review_goes_on_where_it_was(page: Page) -> None:
    press(page, "1", "4")
    page.locator("#author").fill("ana")
    expect(page.locator("#count")).to_have_text(
        "2 of 6 answered"
    )  # before that, a slow machine reloads too early

    page.reload()

    expect(page.locator("#count")).to_have_text("2 of 6 answered")
    expect(page.locator("#place")).to_have_text("3 of 6")
    expect(page.locator("#author")).to_have_value("ana")
    assert len(downloaded(page)) == 2


def test_a_question_mark_shows_the_keys_and_escape_goes_back(page: Page) -> None:
    press(page, "?")
    expect(page.get_by_role("dialog")).to_be_visible()

    press(page, "1", "Escape")

    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#count")).to_have_text("0 of 6 answered")


def test_names_and_classes_are_shown_as_text_and_never_run(page: Page) -> None:
    expect(page.locator("#name")).to_have_text(f"s/{EVIL}.jpg")
    expect(page.locator("h1")).to_contain_text(EVIL)
    expect(page.locator("#votes")).to_have_text("<b>ben</b>: dogana: cat")

    assert page.evaluate("window.pwned") is None
    assert page.evaluate("document.querySelectorAll('script').length") == 3


def test_a_script_that_is_not_the_pages_own_would_not_run(
    page: Page, complaints: list[str]
) -> None:
    refused = page.evaluate(
        "new Promise(done => { document.addEventListener('securitypolicyviolation', e => done(e.effectiveDirective));"
        " const s = document.createElement('script'); s.textContent = 'window.pwned = 1'; document.body.append(s); })"
    )

    assert refused == "script-src-elem"
    assert page.evaluate("window.pwned") is None
    complaints.clear()
