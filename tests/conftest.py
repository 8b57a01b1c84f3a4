"""Which tests go first: pytest-xdist gives out whole files in this order. And how Hypothesis draws its examples."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# The same examples in each run, however slow the machine. Others: pytest --hypothesis-profile explore
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")

LONGEST_FIRST = (
    "service",
    "pipeline",
    "train",
    "loader",
    "register",
    "tasks",
    "survey",
)  # marks or folders; everything else comes after


@pytest.hookimpl(trylast=True)  # the marks of tests/pipeline are set in this hook too
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the longest tests first, so that no process is left alone with them in the end."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    turns = (
        n
        for n, name in enumerate(LONGEST_FIRST)
        if item.get_closest_marker(name) or name in item.path.parts
    )
    return next(turns, len(LONGEST_FIRST))
