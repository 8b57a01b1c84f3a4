"""The Prefect UI in a real browser: a run started from the form with one parameter changed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from pipeline_lib.line import STAGES
from tests.toy.served import Served

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH: apt-get install chromium"),
]
PATIENCE_MS = 120_000.0


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1300})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


def open_form(page: Page, served: Served) -> None:
    deployment = served.ask("deployments/name/retrain/retrain")
    page.goto(f"http://127.0.0.1:{served.port}/deployments/deployment/{deployment['id']}/run")
    expect(page.get_by_text("train.epochs (Optional)")).to_be_visible(timeout=PATIENCE_MS)


def test_the_form_shows_eight_fields_and_folds_the_rest(served: Served, page: Page) -> None:
    open_form(page, served)

    shown = re.findall(r"^(\w+\.\w+) \(Optional\)$", page.inner_text("body"), re.MULTILINE)

    assert len(shown) == 8
    assert "shard_min_bytes" not in page.inner_text("body")


def test_a_run_started_from_the_form_uses_the_override_and_shows_its_tasks(served: Served, page: Page) -> None:
    open_form(page, served)

    before = runs(served)
    page.locator(".p-label").filter(has=page.get_by_text("train.epochs (Optional)")).last.locator("input").fill("3")
    while runs(served) == before:  # SQLite at its busiest answers 503: a person would press again, too
        page.get_by_role("button", name="Submit").click()
        page.wait_for_timeout(3000)
    (run_id,) = runs(served) - before
    run = served.wait_for_end(run_id)
    page.goto(f"http://127.0.0.1:{served.port}/runs/flow-run/{run_id}?tab=TaskRuns")
    for stage in STAGES:
        expect(page.get_by_text(stage, exact=True).first).to_be_visible(timeout=PATIENCE_MS)

    assert {key: value for key, value in run["parameters"]["change"].items() if value is not None} == {
        "train_epochs": 3
    }
    assert run["state_type"] == "COMPLETED", run["state"]
    assert served.task_states(run_id)["train"] == "Ran"


def runs(served: Served) -> set[str]:
    """The ids of the runs of `retrain`."""
    return {run["id"] for run in served.ask("flow_runs/filter", {"deployments": {"name": {"any_": ["retrain"]}}})}
