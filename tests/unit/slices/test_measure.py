"""Which groups are measured, compared and named, on made answers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from pipeline_lib.slices.columns import Cell, Column, Columns, groups_of
from pipeline_lib.slices.measure import Finding, Slices, measure


def answers(label: list[int], right: list[bool], **more: list[bool]) -> pd.DataFrame:
    return pd.DataFrame({"label": label, "correct": right, **more})


def measured(table: pd.DataFrame, **cells: Sequence[Cell]) -> Slices:
    columns = tuple(Column(name, name, groups_of(values)) for name, values in cells.items())
    return measure(table, Columns(columns))


def finding_of(found: Slices, column: int = 0) -> dict[str | None, Finding]:
    one = found.columns[column]
    return {each.value: each.finding for each in (*one.slices, *one.small)}


def planted(n: int, wrong: int) -> list[bool]:
    return [place >= wrong for place in range(n)]


def test_a_worse_group_is_named_and_its_mirror_is_no_second_test() -> None:
    table = answers([0] * 400, planted(100, 30) + planted(300, 15))

    found = measured(table, g=["dark"] * 100 + ["light"] * 300)

    assert finding_of(found) == {"dark": Finding.WORSE, "light": Finding.BETTER}
    assert found.n_tests == 1
    assert [one.value for _, one in found.standing_out] == ["dark"]
    dark = found.columns[0].slices[0]
    assert dark.difference is not None
    assert dark.difference.value == pytest.approx(-0.25)
    assert dark.p == dark.p_adjusted


def test_every_test_counts_in_holms_correction() -> None:
    table = answers([0] * 400, planted(40, 9) + planted(360, 30))
    others = {f"g{k}": [f"{place % (k + 2)}" for place in range(400)] for k in range(6)}

    alone = measured(table, g=["a"] * 40 + ["b"] * 360)
    among = measured(table, g=["a"] * 40 + ["b"] * 360, **others)

    first, later = alone.columns[0].slices[0], among.columns[0].slices[0]
    assert alone.n_tests == 1
    assert among.n_tests > 15
    assert first.finding == Finding.WORSE
    assert later.finding == Finding.NO_DIFFERENCE
    assert first.p == later.p
    assert first.p is not None
    assert later.p_adjusted == pytest.approx(first.p * among.n_tests)


def test_what_cannot_be_told_is_said_and_not_tested() -> None:
    label = [0] * 100 + [1] * 100 + [2] * 100
    right = planted(100, 60) + planted(100, 0) + planted(100, 0)
    cells: Sequence[Cell] = ["own class"] * 100 + ["easy"] * 50 + ["plain"] * 131 + ["few"] * 19

    found = measured(
        answers(label, right), g=cells, same=["x"] * 300, rare=["y"] * 290 + [None] * 10
    )

    assert finding_of(found) == {
        "own class": Finding.ONE_WITH_CLASS,
        "easy": Finding.CANNOT_SHOW,
        "plain": Finding.CANNOT_SHOW,
        "few": Finding.TOO_SMALL,
    }
    assert found.columns[1].slices == ()
    assert finding_of(found, 2) == {"y": Finding.NEARLY_ALL, None: Finding.TOO_SMALL}
    assert found.n_tests == 0
    assert found.standing_out == ()


def test_images_without_a_value_are_a_group() -> None:
    table = answers([0] * 200, planted(50, 25) + planted(150, 5))

    found = measured(table, g=[None] * 50 + ["a"] * 75 + ["b"] * 75)

    assert finding_of(found)[None] == Finding.WORSE


def test_classes_within_a_group_are_measured_from_20_images() -> None:
    label = [0] * 60 + [1] * 60
    cells: Sequence[Cell] = (["a"] * 30 + ["b"] * 30) * 2

    (column,) = measured(answers(label[:119], planted(119, 12)), g=cells[:119]).columns

    a = column.slices[0]
    assert [(part.label, part.share.n, part.share.right) for part in a.classes] == [
        (0, 30, 18),
        (1, 30, 30),
    ]
    assert a.classes[0].elsewhere is not None
    assert a.classes[0].elsewhere.n == 30


def test_a_group_lost_since_the_champion_is_named() -> None:
    before, now = planted(400, 0), planted(400, 0)
    now[:40] = [False] * 40
    before[200:240] = [False] * 40
    table = answers([0] * 400, now, champion_right=before, shared=[True] * 400)
    half: Sequence[Cell] = ["a"] * 200 + ["b"] * 200

    (column,) = measured(table, g=half).columns

    a, b = column.slices
    assert a.since is not None
    assert (a.since.n_lost, a.since.n_won, a.since.change) == (40, 0, -0.2)
    assert a.since.lost
    assert b.since is not None
    assert not b.since.lost


def test_a_column_of_ten_thousand_subjects_is_too_many_and_small_ones_are_listed() -> None:
    n = 10_000
    table = answers([0] * 2 * n, planted(2 * n, 500))

    found = measured(table, subject=[f"s{place % n}" for place in range(2 * n)])
    large = measured(table, subject=[f"s{place % 300}" for place in range(2 * n)])

    assert (len(found.columns[0].small), found.n_tests) == (n, 0)
    assert large.columns[0].too_many
    assert (large.columns[0].slices, large.n_tests) == ((), 0)


def test_reports_on_groups_without_difference_claim_something_at_most_once_in_twenty() -> None:
    """20 groups of two columns, K = 5 classes of unequal difficulty; the number of claims is bounded by its own spread."""
    random = np.random.default_rng(1)
    nights, false = 150, 0
    for _ in range(nights):
        label_N = random.integers(0, 5, 600)
        right_N = random.random(600) < np.array([0.99, 0.95, 0.9, 0.8, 0.6])[label_N]
        by_class = [f"{(label + random.integers(0, 4)) % 10}" for label in label_N]
        found = measured(
            answers(label_N.tolist(), right_N.tolist()),
            one=by_class,
            two=random.integers(0, 10, 600).astype(str).tolist(),
        )
        false += bool(found.standing_out)

    assert false <= nights * 0.05 + 3 * np.sqrt(nights * 0.05 * 0.95)
