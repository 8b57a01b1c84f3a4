"""Which tests go first, and which share a process."""

from __future__ import annotations

import pytest

LONGEST_FIRST = ("service", "pipeline")  # marks; everything else comes after


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the marks in this hook too
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file is one piece of work for pytest-xdist, the files with the Prefect server together one; long ones first."""
    for item in items:
        group = "prefect" if "served" in getattr(item, "fixturenames", ()) else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    return next((n for n, mark in enumerate(LONGEST_FIRST) if item.get_closest_marker(mark)), len(LONGEST_FIRST))
