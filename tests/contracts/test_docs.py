"""The generated pages of docs/ say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.write_docs import pages

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["data-dictionary", "parameters", "settings", "reasons", "exit-codes"])
def test_a_generated_page_is_current(name: str) -> None:
    page = f"docs/{name}.md"

    assert (ROOT / page).read_text() == pages()[page], "run `make docs`"
