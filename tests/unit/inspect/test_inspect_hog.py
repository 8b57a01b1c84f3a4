"""Gradients describe small images well enough to find wrong labels."""

from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from pipeline_lib.inspect.hog import BINS, VECTOR_LENGTH, hog
from pipeline_lib.inspect.image import squeeze
from pipeline_lib.inspect.shard import HOG_PX


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    """The real scans at 32 px, as the demo stores them, described as the stage does: vectors [1797, D] and labels."""
    scans, labels = load_digits(return_X_y=True)
    small = np.rint(scans.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    stored = [Image.fromarray(scan).resize((32, 32), Image.Resampling.BICUBIC) for scan in small]
    return np.stack([hog(squeeze(np.asarray(image), side_px=HOG_PX)) for image in stored]), labels


@pytest.mark.parametrize(
    "predictor", [KNeighborsClassifier(5), LogisticRegression(max_iter=100)], ids=["kNN", "LR"]
)
def test_simple_predictors_tell_98_of_100_real_digits_out_of_sample(
    digits: tuple[Any, Any], predictor: Any
) -> None:
    vectors, labels = digits

    accuracy = cross_val_score(
        predictor, vectors, labels, cv=StratifiedKFold(5, shuffle=True, random_state=0)
    ).mean()

    assert accuracy >= 0.98


def test_a_vertical_edge_points_across_and_is_shared_by_the_two_bins_beside_zero_degrees() -> None:
    """0 degrees lies in the middle between the centres of the last bin and the first; one cell column sees the edge."""
    edge = np.zeros((32, 32), np.uint8)
    edge[:, 14:] = 255

    cells = hog(edge).reshape(-1, BINS, 4).sum(axis=2)

    assert cells[:, 1:-1].sum() == 0
    assert cells[:, 0] == pytest.approx(cells[:, -1])
    assert cells[:, 0].max() > 0


def test_the_length_is_the_same_at_any_side_and_each_block_is_at_most_one_long() -> None:
    random = np.random.default_rng(0)
    for side in (8, 32, 64):
        vector = hog(random.integers(0, 256, (side, side), dtype=np.uint8))

        assert vector.shape == (VECTOR_LENGTH,)
        assert vector.dtype == np.float32
        assert np.linalg.norm(vector.reshape(49, 36), axis=1).max() <= 1 + 1e-6


def test_more_light_and_contrast_hardly_change_the_vector() -> None:
    grey = np.random.default_rng(1).integers(0, 100, (32, 32), dtype=np.uint8)

    assert np.abs(hog(grey) - hog(grey * 2 + 30)).max() < 1e-4


def test_a_flat_image_is_all_zeros_and_not_a_division_by_zero() -> None:
    assert not hog(np.full((32, 32), 90, np.uint8)).any()
