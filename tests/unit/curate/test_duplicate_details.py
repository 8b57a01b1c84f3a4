"""The second look and what it finds among small images."""

from collections.abc import Iterable

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pipeline_lib.curate.duplicate_small_images import SAMPLE, agreement, alike_details

SIDE = 32


@pytest.fixture(scope="module")
def scenes() -> np.ndarray:
    """400 drawn images of lines and ellipses, grey, [400, 96, 96]."""
    rng = np.random.default_rng(0)
    drawn = np.full((400, 96, 96), 120, np.uint8)
    for image in drawn:
        for _ in range(12):
            ends, size, level = (
                rng.integers(0, 96, (2, 2)).tolist(),
                rng.integers(4, 30, 2).tolist(),
                rng.integers(256),
            )
            cv2.line(image, ends[0], ends[1], int(level), 4)
            cv2.ellipse(
                image, ends[0], size, int(rng.integers(180)), 0, 360, int(rng.integers(256)), -1
            )
    return drawn


def small(images: Iterable[np.ndarray]) -> np.ndarray:
    """Thumbnails, uint8 [N, 1024]."""
    return np.stack(
        [
            np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BICUBIC)).ravel()
            for one in images
        ]
    )


def vectors(thumbnails: np.ndarray) -> np.ndarray:
    """The coarse image without its brightness, float32 [N, 64]."""
    cells = thumbnails.reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4)).reshape(-1, 64)
    return np.asarray(cells - cells.mean(axis=1, keepdims=True), np.float32)


def copies(scenes: np.ndarray) -> list[np.ndarray]:
    """Darker, of half the contrast, cut at two edges and enlarged again."""
    return [cv2.resize(one[6:, 6:], (96, 96)) // 2 + 30 for one in scenes]


def test_a_darker_shifted_and_larger_copy_agrees_and_another_image_does_not(
    scenes: np.ndarray,
) -> None:
    originals, changed = scenes[:60:3], copies(scenes[:60:3])
    thumbnails = small([*originals, *changed])
    n = len(originals)

    of_copies = agreement(thumbnails, np.stack([np.arange(n), np.arange(n) + n], axis=1))
    of_others = agreement(thumbnails, np.stack([np.arange(n), (np.arange(n) + n // 2) % n], axis=1))

    assert of_copies.min() >= 0.85
    assert of_others.max() < 0.7


def test_a_turned_copy_agrees_only_when_turns_are_asked_for(scenes: np.ndarray) -> None:
    thumbnails = small([scenes[0], np.rot90(scenes[0])[:, ::-1].copy()])
    pair = np.array([[0, 1]])

    assert agreement(thumbnails, pair, turned=True)[0] > 0.99
    assert agreement(thumbnails, pair)[0] < 0.7


def test_copies_among_images_of_much_detail_are_found_and_only_they(scenes: np.ndarray) -> None:
    thumbnails = np.concatenate([small(scenes), small(copies(scenes[:10]))])

    found = alike_details(vectors(thumbnails), thumbnails, least=0.85)

    assert found.pairs.tolist() == [[n, len(scenes) + n] for n in range(10)]
    assert found.chance < 0.8


def test_among_digits_details_tell_nothing() -> None:
    scans = (load_digits().images * (255 / 16)).astype(np.uint8)
    thumbnails = small(scans)

    found = alike_details(vectors(thumbnails), thumbnails, least=0.85)

    assert found.chance > 0.8
    assert len(found.pairs) == 0


def test_a_set_too_small_to_be_its_own_yardstick_is_left_to_its_pixels(scenes: np.ndarray) -> None:
    thumbnails = np.repeat(small(scenes[:1]), SAMPLE - 1, axis=0)

    assert len(alike_details(vectors(thumbnails), thumbnails, least=0.85).pairs) == 0
