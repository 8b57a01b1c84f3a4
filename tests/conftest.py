"""Which tests go first: pytest-xdist gives out whole files in this order."""

from __future__ import annotations

import pytest

LONGEST_FIRST = ("service", "pipeline")  # marks; everything else comes after


@pytest.hookimpl(trylast=True)  # the marks of tests/pipeline are set in this hook too
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the longest tests first, so that no process is left alone with them in the end."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    return next((n for n, mark in enumerate(LONGEST_FIRST) if item.get_closest_marker(mark)), len(LONGEST_FIRST))
