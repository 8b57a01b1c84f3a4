"""Damaged betons end in a name or in right pixels.

The short version of `python -m benchmarks.robustness.corruption`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from testing.loader_corruption import BROKEN_PROMISES, HOW, Outcome, run_cases

from .conftest import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_crashes_hangs_or_is_shown_where_it_can_be_known(
    kind: str, tmp_path: Path
) -> None:
    outcomes = run_cases(tmp_path, kind, count=96, seed=0)

    counts = Counter(outcomes)
    assert [case for case in outcomes if case[1] in BROKEN_PROMISES] == []
    assert counts[HOW[4], Outcome.REFUSED] + counts[HOW[5], Outcome.REFUSED] > 25
    assert sum(counts[how, Outcome.NAMED] for how in HOW[:3]) > 20


def test_a_process_that_ends_early_is_counted_as_a_crash(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"where a folder should be")

    assert run_cases(tmp_path / "file", "native", count=1, seed=0) == [(HOW[0], Outcome.CRASH)]
