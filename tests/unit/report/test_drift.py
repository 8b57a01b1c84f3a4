import json
import math
from pathlib import Path

import numpy as np
import pytest

from pipeline_lib.report.drift import Previous, drift_since, stability_index


def write(
    path: Path, counts: list[int], classes: dict[str, int], edges: tuple[float, ...] = (0, 4, 8)
) -> Path:
    columns = {"entropy_bit": {"edges": list(edges), "counts": counts}}
    path.write_text(
        json.dumps({"n": sum(classes.values()), "columns": columns, "classes": classes})
    )
    return path


def test_the_index_is_the_sum_over_the_bins_that_are_not_empty_in_both() -> None:
    """(100.5 : 50.5) of 151 before, (50.5 : 100.5) now: (p - q) ln(p / q) is the same in both bins."""
    p, q = 100.5 / 151, 50.5 / 151

    psi, _ = stability_index([100, 0, 50], [50, 0, 100])

    assert psi == pytest.approx(2 * (p - q) * math.log(p / q))


def test_chance_alone_passes_its_limit_once_in_a_thousand() -> None:
    random, shares = np.random.default_rng(0), np.full(10, 0.1)

    over = 0
    for _ in range(2000):
        before, now = random.multinomial(500, shares), random.multinomial(800, shares)
        psi, chance = stability_index(before.tolist(), now.tolist())
        over += psi > chance

    assert over <= 8


def test_a_column_without_values_has_no_index() -> None:
    assert all(math.isnan(number) for number in stability_index([0, 0], [1, 2]))


def test_a_large_index_of_few_images_is_called_steady(tmp_path: Path) -> None:
    few = drift_since(
        Previous(1, write(tmp_path / "a", [3, 1], {"x": 4})),
        write(tmp_path / "b", [1, 3], {"x": 4}),
    ).columns[0]
    many = drift_since(
        Previous(1, write(tmp_path / "c", [300, 100], {"x": 400})),
        write(tmp_path / "d", [100, 300], {"x": 400}),
    ).columns[0]

    assert (few.size, many.size) == ("steady", "large")
    assert few.psi > 0.25


def test_classes_that_came_went_or_changed_their_share_are_named(tmp_path: Path) -> None:
    before = write(tmp_path / "a", [1, 1], {"cat": 500, "dog": 500, "hen": 100, "gone": 9})
    now = write(tmp_path / "b", [1, 1], {"cat": 700, "dog": 300, "hen": 105, "new": 9})

    drift = drift_since(Previous(3, before), now)

    assert [shift.name for shift in drift.classes] == ["dog", "cat", "gone", "new"]
    assert (drift.version, drift.n_classes, drift.same) == (3, 4, False)


def test_the_same_data_are_called_the_same_and_other_bins_are_not_compared(tmp_path: Path) -> None:
    before = write(tmp_path / "a", [1, 1], {"cat": 5})

    assert drift_since(Previous(1, before), before).same
    assert (
        drift_since(
            Previous(1, before), write(tmp_path / "b", [1, 1], {"cat": 5}, (0, 5, 8))
        ).columns
        == ()
    )
