"""The exact test and the difference within classes, against SciPy, sums over all tables, and arithmetic."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from pipeline_lib.slices.stratified import Strata, difference, exact_test, strata_of


def strata(*classes: tuple[int, int, int, int]) -> Strata:
    """Each class as (images, wrong of the group; images, wrong of the others)."""
    columns = np.array(classes, np.int64).reshape(-1, 4).T
    return Strata(*columns)


def by_all_tables(found: Strata) -> float:
    """The two-sided p from every table with these margins, with SciPy's probabilities."""
    chances, sums = [], []
    kinds = [
        stats.hypergeom(n1 + n0, x + y, n1)
        for n1, x, n0, y in zip(found.n1_K, found.wrong1_K, found.n0_K, found.wrong0_K, strict=True)
    ]
    supports = [range(int(kind.support()[0]), int(kind.support()[1]) + 1) for kind in kinds]
    for table in itertools.product(*supports):
        chances.append(math.prod(kind.pmf(x) for kind, x in zip(kinds, table, strict=True)))
        sums.append(sum(table))
    d = np.bincount(sums, weights=chances)
    return float(d[d <= d[found.wrong1_K.sum()] * (1 + 1e-7)].sum())


@pytest.mark.parametrize("seed", range(40))
def test_with_one_class_it_is_fishers_exact_test(seed: int) -> None:
    random = np.random.default_rng(seed)
    n1, n0 = random.integers(1, 400, 2)
    x, y = random.integers(0, n1 + 1), random.integers(0, n0 + 1)
    if seed % 4 == 0:
        x, y = (0, n0) if seed % 8 else (n1, y)  # as far apart as can be; all wrong

    p = exact_test(strata((n1, x, n0, y))).p

    assert p == pytest.approx(stats.fisher_exact([[x, n1 - x], [y, n0 - y]]).pvalue, rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_with_several_classes_it_sums_over_all_tables(seed: int) -> None:
    random = np.random.default_rng(seed)
    n_KN = random.integers(0, 9, (3, 2))
    classes = [(n1, random.integers(0, n1 + 1), n0, random.integers(0, n0 + 1)) for n1, n0 in n_KN]
    found = strata(*classes)

    assert exact_test(found).p == pytest.approx(by_all_tables(found), rel=1e-9)


def test_small_tails_keep_their_digits() -> None:
    alone = exact_test(strata((60, 60, 60, 0))).p

    twice = exact_test(strata((60, 60, 60, 0), (60, 60, 60, 0))).p

    assert alone == pytest.approx(2 / math.comb(120, 60), rel=1e-9)
    assert twice == pytest.approx(2 / math.comb(120, 60) ** 2, rel=1e-9)


def test_the_least_p_is_that_of_the_most_extreme_table() -> None:
    test = exact_test(strata((5, 1, 3, 1)))

    assert test.least_p == pytest.approx(stats.fisher_exact([[0, 5], [2, 1]]).pvalue)
    assert exact_test(strata((9, 0, 9, 0), (9, 9, 0, 0), (0, 0, 9, 5))).least_p == 1


def test_a_difficult_class_is_no_difficult_group() -> None:
    """All of the group is of class 0, where every second answer is wrong, in the group and outside of it."""
    found = strata((100, 50, 100, 50), (0, 0, 800, 8))

    assert exact_test(found).p == 1
    apart = difference(found)
    assert apart is not None
    assert apart.value == 0


def test_with_one_class_the_difference_is_that_of_two_shares() -> None:
    apart = difference(strata((100, 20, 400, 40)))

    assert apart is not None
    assert apart.value == pytest.approx(0.8 - 0.9)
    spread = math.sqrt(0.8 * 0.2 / 100 + 0.9 * 0.1 / 400)
    assert (apart.high - apart.low) / 2 == pytest.approx(1.96 * spread, rel=0.03)


def test_where_no_class_has_both_there_is_no_difference() -> None:
    assert difference(strata((10, 1, 0, 0), (0, 0, 10, 5))) is None


def test_the_interval_of_the_difference_covers_the_truth() -> None:
    random = np.random.default_rng(0)
    n1, n0 = np.array([30, 40, 5, 60]), np.array([300, 20, 50, 200])
    p0 = np.array([0.1, 0.3, 0.2, 0.05])
    nights = 4_000
    covered = 0
    for _ in range(nights):
        x, y = random.binomial(n1, p0 + 0.1), random.binomial(n0, p0)
        apart = difference(Strata(n1, x, n0, y))
        assert apart is not None
        covered += apart.low <= -0.1 <= apart.high

    assert covered / nights == pytest.approx(0.95, abs=0.015)


def test_images_are_counted_by_class() -> None:
    label_N = np.array([0, 0, 2, 2, 2])
    wrong_N = np.array([True, False, True, True, False])

    found = strata_of(label_N, wrong_N, np.array([True, True, True, False, False]))

    assert found.n1_K.tolist() == [2, 0, 1]
    assert found.wrong1_K.tolist() == [1, 0, 1]
    assert found.n0_K.tolist() == [0, 0, 2]
    assert found.wrong0_K.tolist() == [0, 0, 1]
