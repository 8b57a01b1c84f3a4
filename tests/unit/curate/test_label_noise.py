"""Oracle: labels drawn from known probabilities, with known mistakes; and arithmetic by hand."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline_lib.curate import label_noise
from pipeline_lib.curate.confident_learning import confident_joint
from pipeline_lib.curate.label_noise import Judged, LabelNoise, estimate_noise, judge

N_IMAGES, N_CLASSES = 20_000, 6


@dataclass(frozen=True)
class Made:
    """p_NK: what timid predictors say; exponent 2 makes it the distribution that the true classes were drawn from."""

    p_NK: NDArray[np.float16]
    truth: NDArray[np.int64]
    given: NDArray[np.int64]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        return np.asarray(self.given != self.truth)


def made(*, systematic: bool) -> Made:
    """A tenth of the labels is wrong: any other class, or always the one after the true class."""
    rng = np.random.default_rng(0)
    p_NK = rng.dirichlet(np.full(N_CLASSES, 0.1), N_IMAGES)
    truth = (p_NK.cumsum(axis=1) < rng.random((N_IMAGES, 1))).sum(axis=1).clip(0, N_CLASSES - 1)
    away = 1 if systematic else rng.integers(1, N_CLASSES, N_IMAGES)
    given = np.where(rng.random(N_IMAGES) < 0.1, (truth + away) % N_CLASSES, truth)
    timid = np.sqrt(p_NK.clip(1e-9))
    return Made((timid / timid.sum(axis=1, keepdims=True)).astype(np.float16), truth, given)


def judged(case: Made) -> tuple[LabelNoise, Judged]:
    draw = np.random.default_rng(1).random(N_IMAGES)
    noise = estimate_noise(case.p_NK, case.given, confident_joint(case.p_NK, case.given), draw)
    return noise, judge(case.p_NK, case.given, noise)


@pytest.mark.parametrize("systematic", [False, True])
def test_of_labels_with_a_probability_as_many_are_wrong_as_it_says(systematic: bool) -> None:
    case = made(systematic=systematic)

    noise, found = judged(case)

    assert noise.rate == pytest.approx(0.1, abs=0.01)
    assert noise.exponent == pytest.approx(2, abs=0.2)
    edges = np.array([0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.01])
    for least, most in itertools.pairwise(edges):
        part = (found.wrong >= least) & (found.wrong < most)
        assert part.sum() >= 20
        assert case.wrong[part].mean() == pytest.approx(found.wrong[part].mean(), abs=0.09)


def test_a_label_that_is_often_given_by_mistake_is_doubted_more() -> None:
    """Of class 0 a tenth is called 1, of class 1 none is called 0. (p = .9, .1), called 1: right .1 x 1 of .1 x 1 +
    .9 x .1, so wrong with 9/19. Spread evenly over both classes (rate .05): .9 x .05 of .9 x .05 + .1 x .95: 9/28.
    """
    p_BK = np.array([[0.9, 0.1]], np.float32)
    given = np.array([1])

    systematic = LabelNoise(1.0, 0.05, np.array([[0.9, 0.0], [0.1, 1.0]], np.float32))
    even = LabelNoise(1.0, 0.05, None)

    assert systematic.true_class(p_BK, given)[0, 0] == pytest.approx(9 / 19)
    assert even.true_class(p_BK, given)[0, 0] == pytest.approx(9 / 28)


def test_with_very_many_classes_mistakes_count_as_spread_evenly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = made(systematic=False)
    _, found = judged(case)
    monkeypatch.setattr(label_noise, "MOST_CLASSES", 5)

    noise, evenly = judged(case)

    assert noise.given_KK is None
    assert evenly.wrong == pytest.approx(found.wrong, abs=0.15)


def test_a_sample_is_enough_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    case = made(systematic=True)
    noise, found = judged(case)
    monkeypatch.setattr(label_noise, "VALUES", 3000 * N_CLASSES)

    of_sample, _ = judged(case)
    in_blocks = judge(case.p_NK, case.given, noise)

    assert of_sample.rate == pytest.approx(noise.rate, abs=0.02)
    np.testing.assert_array_equal(in_blocks.wrong, found.wrong)
