"""Oracle: brute force over all pairs."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pipeline_lib.curate import duplicate_small_images
from pipeline_lib.curate.duplicate_small_images import alike_pixels


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """All digits of scikit-learn as 32x32 thumbnails, uint8 [1797, 1024]."""
    scans = (load_digits().images * (255 / 16)).astype(np.uint8)
    large = [
        np.asarray(Image.fromarray(scan).resize((32, 32), Image.Resampling.BICUBIC))
        for scan in scans
    ]
    return np.stack(large).reshape(len(large), -1)


def test_no_two_genuine_digits_pair_up(digits: np.ndarray) -> None:
    assert len(alike_pixels(digits, max_rms=5)) == 0


@pytest.mark.parametrize("quality", [80, 90, 95])
def test_reencoded_and_slightly_brighter_copies_pair_with_their_originals_only(
    digits: np.ndarray, quality: int
) -> None:
    originals = digits[:300]
    copies = np.stack([reencoded(n, scan, quality) for n, scan in enumerate(originals)])

    pairs = alike_pixels(np.concatenate([originals, copies]), max_rms=5)

    assert pairs.tolist() == [[n, n + 300] for n in range(300)]


def reencoded(n: int, scan: np.ndarray, quality: int) -> np.ndarray:
    brighter = (scan.reshape(32, 32).astype(int) + n % 5 - 2).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(brighter).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).ravel()


def test_the_blocked_search_finds_what_brute_force_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_small_images, "BLOCK_ROWS", 32)
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (100, 1024))
    noisy = base + rng.normal(0, 5, base.shape)
    thumbnails = np.concatenate([base, noisy.clip(0, 255)]).astype(np.uint8)

    found = {tuple(pair) for pair in alike_pixels(thumbnails, max_rms=5)}

    wide = thumbnails.astype(np.float32)
    rms = np.sqrt(((wide[:, None] - wide[None]) ** 2).mean(-1))
    expected = {(int(i), int(j)) for i, j in np.argwhere(rms <= 5) if i < j}
    assert 0 < len(expected) < 100
    assert found == expected


def test_faint_images_pair_only_when_they_are_nearly_equal() -> None:
    rng = np.random.default_rng(1)
    blank_pages = rng.integers(249, 256, (20, 1024)).astype(np.uint8)

    assert len(alike_pixels(blank_pages, max_rms=5)) == 0
