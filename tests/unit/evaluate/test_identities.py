"""Figures against scikit-learn and torchmetrics, on random tables and on those where metrics tend to err.

benchmarks/evaluate/metrics.py checks thousands of tables; here are a few of each kind.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pipeline_lib.evaluate.calibration import (
    Certainty,
    calibration_error,
    certainty,
    equal_mass,
    equal_width,
    reliability,
)
from pipeline_lib.evaluate.ranking import Curve, Curves, curve_of, operating_points
from pipeline_lib.evaluate.selective import (
    area_under_risk,
    selective_curve,
    selective_figures,
    thresholds,
)
from pipeline_lib.evaluate.summary import summarise
from pipeline_lib.share_interval import wilson
from testing.score_tables import (
    hard_tables,
    largest_difference,
    of_scikit_learn,
    of_torchmetrics,
    ours,
    random_table,
)

ALLOWED = 1e-9
SEEDS = (0, 1)


def answers(confidence: list[float], correct: list[bool]) -> Certainty:
    nothing = np.zeros(len(confidence))
    return Certainty(np.array(confidence), np.array(correct), nothing, nothing)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_figure_is_that_of_scikit_learn_and_of_torchmetrics(seed: int) -> None:
    random = np.random.default_rng(seed)
    for name, p_NK, labels_N in [("random", *random_table(random)), *hard_tables(random)]:
        found = ours(p_NK, labels_N)

        assert largest_difference(found, of_scikit_learn(p_NK, labels_N)) < ALLOWED, name
        assert largest_difference(found, of_torchmetrics(p_NK, labels_N)) < ALLOWED, name


def test_of_one_class_alone_everything_is_right() -> None:
    found = summarise(np.ones((3, 1)), np.zeros(3, int), rounds=1, seed=0).figures

    assert {found[name] for name in ("top1", "top5", "f1", "ap", "ap_micro")} == {1.0}
    assert {found[name] for name in ("brier", "ece", "ece_equal_width", "aurc")} == {0.0}
    assert found["nll"] == 0


def test_no_figure_depends_on_the_order_of_the_images_also_among_ties() -> None:
    random = np.random.default_rng(5)
    for name, p_NK, labels_N in hard_tables(random):
        order = random.permutation(len(labels_N))
        here = summarise(p_NK, labels_N, rounds=1, seed=0).figures

        there = summarise(p_NK[order], labels_N[order], rounds=1, seed=0).figures

        assert largest_difference(there, here) < ALLOWED, name


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    """30 images at 0.8, all right: a gap of 0.2. Five at other confidences: a bin each."""
    alike = answers([0.8] * 30, [True] * 30)
    five = answers([0.5, 0.6, 0.7, 0.8, 0.9], [True, True, True, True, False])

    assert calibration_error(alike, equal_mass(alike.confidence_N)) == pytest.approx(0.2)
    assert calibration_error(five, equal_mass(five.confidence_N)) == pytest.approx(
        (0.5 + 0.4 + 0.3 + 0.2 + 0.9) / 5
    )


def test_bins_hold_equally_many_images_and_equal_confidences_share_one() -> None:
    confidence_N = np.random.default_rng(0).permutation(np.linspace(0.2, 0.9, 47))

    counts = np.bincount(equal_mass(confidence_N))

    assert counts.tolist() == [len(part) for part in np.array_split(np.arange(47), 15)]
    assert set(equal_mass(np.array([0.1, *[0.5] * 40, 0.9]))) == {0, 14}
    assert equal_width(np.array([0.0, 1 / 15, 0.5, 14 / 15, 1.0])).tolist() == [0, 1, 7, 14, 15]


def test_the_reliability_curve_has_each_image_once_with_the_interval_of_its_bin() -> None:
    p_NK, labels_N = random_table(np.random.default_rng(3))

    table = reliability(certainty(p_NK, labels_N))

    assert table["n"].sum() == len(labels_N)
    assert (table["confidence"].diff().dropna() > 0).all()
    assert np.average(table["accuracy"], weights=table["n"]) == pytest.approx(
        (p_NK.argmax(1) == labels_N).mean()
    )
    row = table.iloc[0]
    expected = wilson(round(row["accuracy"] * row["n"]), int(row["n"]))
    assert (row["accuracy_low"], row["accuracy_high"]) == (expected.low, expected.high)


def test_a_threshold_is_chosen_on_validation_and_measured_on_other_images() -> None:
    """On validation 0.6 has 19 right of 20; 0.7 has 10 of 10. On test 0.6 chooses three, two of them right."""
    validation = Curve(np.array([0.7, 0.6]), np.array([10, 19]), np.array([10, 20]))
    p_NK = np.array([[0.9, 0.1], [0.65, 0.35], [0.62, 0.38], [0.2, 0.8]])
    never = Curve(np.array([]), np.array([], int), np.array([], int))

    table = operating_points(
        Curves((validation, never), never),
        p_NK,
        np.array([0, 1, 0, 1]),
        class_ids=["a", "b"],
    )

    first = table.iloc[0]
    assert (first["class"], first["promised"], first["threshold"]) == ("a", 0.95, 0.6)
    assert (first["n_validation"], first["n"]) == (20, 3)
    assert (first["precision"], first["recall"]) == (pytest.approx(2 / 3), 1.0)
    assert table.iloc[1]["threshold"] == 0.7
    assert table.iloc[2:].drop(columns=["class", "promised"]).isna().all(axis=None)


def test_the_area_under_the_risk_is_the_mean_over_all_orders_of_ties() -> None:
    confidence = [0.9, 0.5, 0.5, 0.5, 0.2]
    correct = [True, False, True, True, False]
    orders = [[0, *middle, 4] for middle in itertools.permutations([1, 2, 3])]
    by_hand = [
        np.mean(np.cumsum([not correct[i] for i in order]) / np.arange(1, 6)) for order in orders
    ]

    assert area_under_risk(answers(confidence, correct)) == pytest.approx(np.mean(by_hand))


def test_who_answers_only_when_sure_is_as_accurate_as_promised_where_that_was_chosen() -> None:
    """The two surest of five answers are right; below them every other one is."""
    validation = answers([0.9, 0.8, 0.7, 0.6, 0.5], [True, True, False, True, False])
    test = answers([0.95, 0.85, 0.75, 0.1], [True, False, True, True])

    chosen = thresholds(validation)
    figures = selective_figures(test, chosen)

    assert chosen == {0.95: 0.8, 0.99: 0.8}
    assert (figures["coverage_at_99"], figures["accuracy_at_99"]) == (0.5, 0.5)
    assert thresholds(answers([0.9, 0.8], [False, True])) == {}


def test_the_curve_of_coverage_ends_with_all_answers_and_gives_equally_sure_ones_together() -> None:
    table = selective_curve(answers([0.9, 0.5, 0.5, 0.2], [True, False, True, False]))

    assert table["n"].tolist() == [1, 3, 4]
    assert table["coverage"].tolist() == [0.25, 0.75, 1.0]
    assert table["threshold"].tolist() == [0.9, 0.5, 0.2]
    assert table["accuracy"].tolist() == pytest.approx([1, 2 / 3, 1 / 2])


def test_a_curve_without_positives_promises_nothing() -> None:
    curve = curve_of(np.array([0.1, 0.2]), np.array([]))

    assert np.isnan(curve.average_precision())
    assert curve.best_at(0.95) is None
