"""The generated pages of docs/ say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows.cli.parser import COMMANDS
from scripts.write_docs import pages

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", pages())
def test_a_generated_page_is_current(page: str) -> None:
    assert (ROOT / page).read_text() == pages()[page], "run `make docs`"


def test_every_command_the_readme_names_exists() -> None:
    named = set(
        re.findall(
            r"^perennial ([a-z]+)|`perennial ([a-z]+)",
            (ROOT / "README.md").read_text(),
            re.MULTILINE,
        )
    )

    assert {one or other for one, other in named} <= set(COMMANDS)


def test_every_link_of_the_docs_leads_somewhere() -> None:
    pages_with_links = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
    ]

    dead = [
        (page.name, link)
        for page in pages_with_links
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
        if not (page.parent / link).exists()
    ]

    assert dead == []
