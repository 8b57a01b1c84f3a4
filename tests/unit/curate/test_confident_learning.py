"""Oracles: cleanlab's confident joint, its off-diagonal rows and its estimate of the noise, and arithmetic by hand."""

import numpy as np
import pytest

from pipeline_lib.curate import confident_learning
from pipeline_lib.curate.confident_learning import NONE, confident_joint


def probabilities(
    *, n: int, n_classes: int, sharpness: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """float16 rows that add up to about 1, labels of which a fifth are wrong, one class that nobody has."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes - 1, n)
    score = rng.standard_normal((n, n_classes)) + sharpness * np.eye(n_classes)[truth]
    p_NK = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    given = np.where(rng.random(n) < 0.2, rng.integers(0, n_classes - 1, n), truth)
    return p_NK.astype(np.float16), given


@pytest.mark.parametrize(("n_classes", "sharpness"), [(2, 1.0), (10, 3.0), (60, 4.0), (60, 1.0)])
def test_the_joint_and_its_off_diagonals_are_cleanlabs(
    monkeypatch: pytest.MonkeyPatch, n_classes: int, sharpness: float
) -> None:
    count = pytest.importorskip(
        "cleanlab.count", reason="cleanlab is not installed: no oracle to compare with"
    )
    p_NK, given = probabilities(
        n=3000, n_classes=n_classes + 1, sharpness=sharpness, seed=n_classes
    )
    p_NK, oracle = p_NK[:, :-1], p_NK[:, :-1].astype(np.float64)
    monkeypatch.setattr(confident_learning, "BLOCK_VALUES", 20_000)

    ours = confident_joint(p_NK, given)

    theirs, rows = count.compute_confident_joint(
        given, oracle, calibrate=False, return_indices_of_off_diagonals=True
    )
    dense = np.zeros_like(theirs)
    dense[ours.given, ours.believed_by_pair] = ours.counts
    np.fill_diagonal(dense, dense.diagonal().clip(min=1))
    np.testing.assert_array_equal(dense, theirs)
    np.testing.assert_array_equal(ours.off_diagonal(given), rows)
    calibrated = count.compute_confident_joint(given, oracle, calibrate=True)
    assert ours.noise_rate == pytest.approx(
        1 - np.trace(calibrated) / calibrated.sum(), abs=2 / len(given) * n_classes
    )


def test_a_class_is_confident_from_the_mean_of_its_own_images() -> None:
    """Class 0 has p = .9 and .5, so its threshold is .7; class 1 has .8 and .2 (row 3), so .5. Row 1 (.5 | .5): class 1
    is confident. Row 3 (.8 | .2): class 0 is."""
    p_NK = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.8, 0.2]], np.float16)

    found = confident_joint(p_NK, np.array([0, 0, 1, 1]))

    assert found.thresholds == pytest.approx([0.7, 0.5], abs=1e-3)
    assert found.believed.tolist() == [0, 1, 1, 0]
    assert found.off_diagonal(np.array([0, 0, 1, 1])).tolist() == [1, 3]
    assert found.noise_rate == pytest.approx(0.5)


def test_an_image_that_no_class_is_confident_of_is_not_counted() -> None:
    p_NK = np.array([[0.9, 0.1, 0], [0.1, 0.9, 0], [0.34, 0.33, 0.33]], np.float16)

    found = confident_joint(np.repeat(p_NK, [5, 5, 1], axis=0), np.array([0] * 5 + [1] * 5 + [2]))

    assert found.believed[:10].tolist() == [0] * 5 + [1] * 5
    assert found.believed[10] == 2  # its own class's only image sets the threshold
    assert confident_joint(p_NK[2:], np.array([1])).believed.tolist() == [1]
    assert confident_joint(p_NK[[0, 0, 2]], np.array([0, 0, 0])).believed.tolist() == [0, 0, NONE]


@pytest.mark.parametrize("wrong", [-0.1, 1.1, np.nan, np.inf])
def test_what_is_no_probability_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="negative, above 1 or NaN"):
        confident_joint(np.array([[0.5, 0.5], [wrong, 0.5]], np.float16), np.array([0, 1]))


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 labels of 2 classes do not fit"):
        confident_joint(np.full((2, 2), 0.5, np.float16), np.array([0, 2]))
