"""Oracle: brute force over all pairs; for the orientations, the hash of the image itself turned."""

import numpy as np
import pytest

from pipeline_lib.curate import duplicate_hashes
from pipeline_lib.curate.duplicate_hashes import close_pairs, orientations, proposed_pairs
from pipeline_lib.inspect.hashes import phash


def planted(n: int, *, n_variants: int = 1, seed: int = 0) -> np.ndarray:
    """Random hashes [V, N], the second half of each row 0 to 9 bits from a hash of some variant of the first."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, (n_variants, n), dtype=np.uint64)
    flips = [
        sum(1 << int(bit) for bit in rng.choice(64, k % 10, replace=False)) for k in range(n // 2)
    ]
    hashes[0, n // 2 :] = hashes[rng.integers(0, n_variants, n // 2), np.arange(n // 2)] ^ np.array(
        flips, np.uint64
    )
    return hashes


def by_brute_force(asked: np.ndarray, stored: np.ndarray, max_bits: int) -> set[tuple[int, int]]:
    distance = np.bitwise_count(asked[:, None, :, None] ^ stored[None, :, None, :]).min(axis=(0, 1))
    return {(min(i, j), max(i, j)) for i, j in np.argwhere(distance <= max_bits).tolist() if i != j}


@pytest.mark.parametrize("max_bits", [0, 1, 3, 6, 8, 10, 12])
def test_the_join_finds_every_pair_that_brute_force_finds(max_bits: int) -> None:
    hashes = planted(600)

    found = close_pairs(hashes, hashes, max_bits=max_bits)

    assert {tuple(pair) for pair in found.pairs.tolist()} == by_brute_force(
        hashes, hashes, max_bits
    )
    assert len(found.pairs) >= 30
    assert (
        found.bits == np.bitwise_count(hashes[0, found.pairs[:, 0]] ^ hashes[0, found.pairs[:, 1]])
    ).all()


@pytest.mark.parametrize("n_bands_equal", [1, 2, 3, 4])
def test_any_number_of_bands_finds_the_same(
    n_bands_equal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicate_hashes, "SORTING", 10.0 ** (3 * (4 - n_bands_equal) - 3))
    hashes = planted(600)

    found = close_pairs(hashes, hashes, max_bits=6)

    assert {tuple(pair) for pair in found.pairs.tolist()} == by_brute_force(hashes, hashes, 6)


def test_the_join_of_orientations_with_variants_finds_what_brute_force_finds() -> None:
    stored = planted(200, n_variants=5)
    asked = orientations(stored[0])

    found = close_pairs(asked, stored, max_bits=6)

    assert {tuple(pair) for pair in found.pairs.tolist()} == by_brute_force(asked, stored, 6)
    assert len(found.pairs) >= 60


def test_the_hashes_of_all_eight_orientations_follow_from_one() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    turned = [
        form
        for image in (grey, grey.T)
        for form in (image, image[:, ::-1], image[::-1], image[::-1, ::-1])
    ]

    assert orientations(np.array([phash(grey)], np.uint64))[:, 0].tolist() == [
        phash(form) for form in turned
    ]


def test_images_of_one_hash_are_all_paired_with_each_other_and_with_those_of_a_near_hash() -> None:
    hashes = np.array([[7] * 10 + [15] * 5 + [2**64 - 1]], np.uint64)

    found = close_pairs(hashes, hashes, max_bits=6)

    assert {tuple(pair) for pair in found.pairs.tolist()} == by_brute_force(hashes, hashes, 6)
    assert len(found.pairs) == 15 * 14 // 2
    assert found.n_cut == 0


def test_a_thousand_equal_hashes_make_a_chain_and_not_half_a_million_pairs_and_are_counted_as_cut() -> (
    None
):
    equal = np.full((1, 1000), 7, dtype=np.uint64)

    found = close_pairs(equal, equal, max_bits=6)

    assert len(found.pairs) == 16 * 15 // 2 + 1000 - 16
    assert found.n_cut == 1


@pytest.mark.parametrize("part", range(6), ids=["95 %", "90 %", "85 %", "80 %", "uncut", "middle"])
def test_a_part_of_one_image_proposes_the_pair_with_the_whole_or_the_like_part_of_another(
    part: int,
) -> None:
    rng = np.random.default_rng(0)
    whole, variants = (rng.integers(0, 2**64, shape, dtype=np.uint64) for shape in (50, (6, 50)))
    variants[part, 3] = (variants[part, 7] if part == 5 else whole[7]) ^ np.uint64(0b111)

    assert proposed_pairs(whole, variants, max_bits=6).pairs.tolist() == [[3, 7]]


def test_a_bucket_over_the_cap_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_hashes, "BUCKET_CAP", 10)
    hashes = np.arange(200, dtype=np.uint64)[None]

    assert close_pairs(hashes, hashes, max_bits=1).n_cut > 0


def test_no_images_make_no_pairs() -> None:
    none = np.empty((1, 0), np.uint64)

    assert close_pairs(none, none, max_bits=6).pairs.shape == (0, 2)
