"""Metrics and calibration against scipy, scikit-learn and arithmetic."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest
from sklearn.metrics import (
    f1_score,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from pipeline_lib.evaluate.metrics import (
    bootstrap_macro_f1,
    in_top5,
    per_class,
    top_classes,
)
from pipeline_lib.evaluate.predictions import (
    HIGHEST,
    LOWEST,
    fit_temperature,
    log_softmax,
    predictions,
    uncalibrated,
)
from pipeline_lib.evaluate.summary import summarise
from pipeline_lib.share_interval import wilson

RANDOM = np.random.default_rng(7)
LABELS = RANDOM.integers(0, 8, 400)
LOGITS = RANDOM.normal(0, 1, (400, 8)) + 2.5 * np.eye(8)[LABELS]
P = np.exp(log_softmax(LOGITS))


@pytest.mark.parametrize(("right", "n"), [(0, 5), (5, 5), (3, 10), (353, 360)])
def test_wilson_intervals_are_scipys(right: int, n: int) -> None:
    expected = binomtest(right, n).proportion_ci(method="wilson")

    found = wilson(right, n)

    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_nothing_is_known_of_a_share_of_no_images() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


def test_per_class_figures_are_scikit_learns_also_for_a_class_never_predicted() -> None:
    predicted = np.where(P.argmax(1) == 3, 2, P.argmax(1))

    found = per_class(predicted, LABELS, n_classes=8)

    precision, recall, f1, support = precision_recall_fscore_support(
        LABELS, predicted, zero_division=0
    )
    np.testing.assert_allclose(
        found[["precision", "recall", "f1"]], np.transpose([precision, recall, f1])
    )
    assert list(found["support"]) == list(support)


def test_of_a_class_without_images_nothing_is_measured_and_the_means_are_over_the_others() -> None:
    with_a_ninth = np.column_stack(
        [P[:, :4], np.full(len(P), 0.9), P[:, 4:] * 0.1]
    )  # which many images are taken for
    labels = np.where(LABELS >= 4, LABELS + 1, LABELS)
    some = np.where(np.arange(len(P))[:, None] % 9 == 0, with_a_ninth, np.insert(P, 4, 0.0, axis=1))

    table = per_class(some.argmax(1), labels, n_classes=9)
    figures = summarise(some, labels, rounds=10, seed=0).figures

    assert table.loc[4, "support"] == 0
    assert table.loc[4].drop("support").isna().all() and table.drop(index=4).notna().all(axis=None)
    assert figures["recall"] == pytest.approx(table["recall"].dropna().mean())
    assert (figures["n_classes"], figures["n_classes_measured"]) == (9, 8)


def test_top5_is_scikit_learns() -> None:
    found = summarise(P, LABELS, rounds=100, seed=0).figures

    assert found["top5"] == top_k_accuracy_score(LABELS, P, k=5)
    assert found["n"] == 400


def test_the_bootstrap_of_pair_counts_is_the_bootstrap_of_images() -> None:
    """Oracle: 400 resamples of the images themselves, scored by scikit-learn."""
    predicted, random = P.argmax(1), np.random.default_rng(1)
    rows = [random.integers(0, 400, 400) for _ in range(400)]
    low, high = np.percentile(
        [f1_score(LABELS[r], predicted[r], average="macro") for r in rows], [2.5, 97.5]
    )

    found = bootstrap_macro_f1(predicted, LABELS, n_classes=8, rounds=2000, seed=0)

    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)


def test_the_bootstrap_repeats_itself_and_depends_on_its_seed() -> None:
    one, again, other = (
        bootstrap_macro_f1(P.argmax(1), LABELS, n_classes=8, rounds=100, seed=s) for s in (0, 0, 1)
    )

    assert one == again != other


def test_among_equally_probable_classes_the_lower_index_comes_first() -> None:
    assert top_classes(np.array([[0.2, 0.4, 0.4], [1 / 3, 1 / 3, 1 / 3]])).tolist() == [
        [1, 2, 0],
        [0, 1, 2],
    ]


def test_the_temperature_is_the_minimum_that_scipy_finds() -> None:
    def loss(t: float) -> float:
        return float(-log_softmax(LOGITS / t)[np.arange(400), LABELS].mean())

    expected = minimize_scalar(
        loss, bounds=(LOWEST, HIGHEST), method="bounded", options={"xatol": 1e-9}
    ).x

    assert fit_temperature(LOGITS, LABELS) == pytest.approx(expected, abs=1e-4)


def test_overconfident_logits_are_cooled_by_their_own_factor() -> None:
    assert fit_temperature(3 * LOGITS, LABELS) == pytest.approx(
        3 * fit_temperature(LOGITS, LABELS), abs=1e-4
    )


def test_dividing_by_a_temperature_block_by_block_is_dividing_all() -> None:
    logits = np.random.default_rng(2).normal(0, 3, (2500, 7))  # longer than two blocks
    labels = np.arange(2500) % 7

    np.testing.assert_array_equal(log_softmax(logits, temperature=1.7), log_softmax(logits / 1.7))
    np.testing.assert_array_equal(
        uncalibrated(logits, labels).confidence_N, np.exp(log_softmax(logits)).max(1)
    )


def test_where_validation_is_all_right_the_temperature_stops_at_its_bound_and_a_line_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    labels = np.arange(8)

    found = fit_temperature(np.eye(8) * 5, labels)

    assert found == LOWEST
    assert caplog.messages == [
        "the temperature is fitted on 0 validation errors: confidences are rough (10 or more are wanted)"
    ]


def test_a_model_that_is_always_wrong_is_cooled_to_the_other_bound() -> None:
    assert fit_temperature(np.eye(8) * 5, np.roll(np.arange(8), 1)) == HIGHEST


def test_a_row_of_predictions_by_hand() -> None:
    """p = (0.1, 0.7, 0.2), the truth is class 2: wrong, loss -ln 0.2 = 1.609."""
    frame = predictions(["a"], "test", log_p_NK=np.log([[0.1, 0.7, 0.2]]), labels_N=np.array([2]))

    row = frame.iloc[0]
    assert (row["label"], row["predicted"], bool(row["correct"])) == (2, 1, False)
    assert (row["p_label"], row["p_predicted"], row["loss"]) == pytest.approx(
        (0.2, 0.7, 1.6094), abs=1e-4
    )
    assert row["top_classes"].tolist() == [1, 2, 0]
    assert row["top_p"].tolist() == pytest.approx([0.7, 0.2, 0.1])


def test_the_most_probable_classes_are_those_of_a_stable_sort_also_among_equals() -> None:
    random = np.random.default_rng(0)
    for n_classes in (2, 5, 40):
        p_NK = random.integers(0, 4, (3000, n_classes)) / 4  # full of ties, longer than a block
        labels_N = random.integers(0, n_classes, 3000)
        by_sort = np.argsort(-p_NK, axis=1, kind="stable")[:, :5]

        assert (top_classes(p_NK) == by_sort).all()
        among_five = (by_sort == labels_N[:, None]).any(axis=1)
        assert (in_top5(p_NK, labels_N) == among_five).all()
