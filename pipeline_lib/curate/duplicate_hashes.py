"""Pairs of 64-bit perceptual hashes that differ in a few bits, among millions, and the same image turned or mirrored.

A hash's bits are the signs of the 8x8 lowest DCT coefficients (`inspect/hashes.py`). Mirroring an image changes the
sign of every odd column of coefficients, turning it transposes them as well; so the hash of each of the eight
orientations follows from the hash alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

BITS: Final = 64
ODD_COLUMNS: Final = 0x5555_5555_5555_5555  # the first bit in reading order is the highest
ODD_ROWS: Final = 0x00FF_00FF_00FF_00FF
TRANSPOSE: Final = (
    (7, 0x00AA_00AA_00AA_00AA),
    (14, 0x0000_CCCC_0000_CCCC),
    (28, 0x0000_0000_F0F0_F0F0),
)
SPREAD: Final = 0x9E37_79B9_7F4A_7C15  # 2^64 / golden ratio, odd: Knuth's multiplicative hashing
EQUAL_CAP: Final = (
    16  # of more images with one hash, these many are paired with all others, the rest in a chain
)
BUCKET_CAP: Final = 2000  # a hash is compared with up to this many others of its bucket
AT_ONCE: Final = 1 << 21  # comparisons in memory: some 60 MB
# What sorting a hash and comparing two cost, in units of a comparison; only the speed depends on them.
SORTING: Final = 12.0
COMPARING: Final = 1.0

Pairs = NDArray[np.int64]  # [n, 2]
Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class ClosePairs:
    """pairs [n, 2] of row numbers, first < second, sorted. bits: how many bits they differ in, uint8 [n].

    n_cut: buckets too large to compare in full, and hashes of more than EQUAL_CAP images; pairs may be missing there.
    """

    pairs: Pairs
    bits: NDArray[np.uint8]
    n_cut: int = 0


def orientations(hashes_N: Hashes) -> Hashes:
    """The hashes of all eight mirrored and turned forms of each image, [8, N]; first the images as they are."""
    forms = []
    for upright in (hashes_N, _transposed(hashes_N)):
        for mirror in (0, ODD_COLUMNS, ODD_ROWS, ODD_COLUMNS ^ ODD_ROWS):
            forms.append(upright ^ np.uint64(mirror))
    return np.stack(forms)


def close_pairs(asked_FN: Hashes, stored_VN: Hashes, *, max_bits: int) -> ClosePairs:
    """Pairs of images of which some asked form differs from some stored variant in at most `max_bits` bits.

    asked_FN, stored_VN: F forms and V variants of the same N images. Every such pair is found, or its bucket is
    counted in n_cut. A thousand images of one hash make no half a million pairs: the first EQUAL_CAP of them are paired
    with each other and with what is near, and all are joined each to the next.
    """
    n = asked_FN.shape[1]
    asked, stored = _distinct(asked_FN, n), _distinct(stored_VN, n)
    found, differing = (
        [asked.chain, stored.chain],
        [np.zeros(len(asked.chain) + len(stored.chain), np.uint8)],
    )
    n_cut = len(np.union1d(asked.cut, stored.cut))
    for mask in _masks(len(asked.hashes), len(stored.hashes), max_bits):
        for left, right, bits, cut in _bucket_pairs(asked.hashes, stored.hashes, mask, max_bits):
            pairs, of = _owner_pairs(asked, left, stored, right)
            found.append(pairs)
            differing.append(bits[of])
            n_cut += cut
    return _ordered(np.concatenate(found), np.concatenate(differing), n_cut)


@dataclass(frozen=True)
class _Distinct:
    """hashes: distinct and sorted. owners: images, those of the first hash first; start, size: where in them.

    cut: hashes of more than EQUAL_CAP images, which is all that size counts. chain: pairs that join all of these.
    """

    hashes: Hashes
    owners: NDArray[np.int64]
    start: NDArray[np.int64]
    size: NDArray[np.int64]
    chain: Pairs
    cut: Hashes


def proposed_pairs(whole_N: Hashes, variants_VN: Hashes, *, max_bits: int) -> ClosePairs:
    """Pairs of images that may be copies of each other, whole, mirrored, turned, cropped, framed or captioned.

    variants_VN: in the order of `PerceptualHashes.variants`. Whole images in all orientations are compared with
    everything but the middles of others; centres and middles, which a frame or a caption leaves as they were, with
    their like.
    """
    *_, smallest_N, _, middle_N = variants_VN
    joins = (
        (orientations(whole_N), np.concatenate([whole_N[None], variants_VN[:-1]])),
        (smallest_N[None], smallest_N[None]),
        (middle_N[None], middle_N[None]),
    )
    found = [close_pairs(asked, stored, max_bits=max_bits) for asked, stored in joins]
    pairs, bits = (
        np.concatenate([getattr(one, name) for one in found]) for name in ("pairs", "bits")
    )
    return _ordered(pairs, bits, sum(one.n_cut for one in found))


def _transposed(hashes: Hashes) -> Hashes:
    """Each hash as an 8x8 matrix of bits, transposed (Warren, Hacker's Delight, section 7-3)."""
    result = hashes.copy()
    for shift, mask in TRANSPOSE:
        swapped = (result ^ (result >> np.uint64(shift))) & np.uint64(mask)
        result ^= swapped ^ (swapped << np.uint64(shift))
    return result


def _distinct(hashes_VN: Hashes, n: int) -> _Distinct:
    # each hash of an image once: that of its centre may be that of the whole
    hashes, owners = hashes_VN.ravel(), np.tile(np.arange(n), len(hashes_VN))
    order = np.lexsort((owners, hashes))
    hashes, owners = hashes[order], owners[order]
    new = np.r_[True, (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])][: len(hashes)]
    hashes, owners = hashes[new], owners[new]

    # the images of each hash
    start = np.flatnonzero(np.r_[True, hashes[1:] != hashes[:-1]][: len(hashes)])
    size = np.diff(np.r_[start, len(hashes)])
    large = np.repeat(size > EQUAL_CAP, size)
    linked = np.flatnonzero(large[1:] & (hashes[1:] == hashes[:-1]))
    chain = np.stack([owners[linked], owners[linked + 1]], axis=1)
    return _Distinct(
        hashes[start], owners, start, np.minimum(size, EQUAL_CAP), chain, np.unique(hashes[large])
    )


def _owner_pairs(
    asked: _Distinct, left: NDArray[np.int64], stored: _Distinct, right: NDArray[np.int64]
) -> tuple[Pairs, NDArray[np.int64]]:
    """All pairs of an image of hash left[i] and one of hash right[i], and the i of each."""
    across = stored.size[right]
    counts = asked.size[left] * across
    of = np.repeat(np.arange(len(left)), counts)
    within = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = asked.owners[asked.start[left][of] + within // across[of]]
    second = stored.owners[stored.start[right][of] + within % across[of]]
    return np.stack([first, second], axis=1), of


def _masks(n_asked: int, n_stored: int, max_bits: int) -> list[int]:
    """Sets of bits, in one of which at least any two hashes agree that differ in at most `max_bits` bits.

    The bits are dealt out to max_bits + m bands: m bands at least stay equal, whichever bits differ. A large m makes
    many small buckets, a small m few large ones; the cheapest is taken.
    """

    def cost(m: int) -> float:
        in_bucket = n_stored / math.exp2(min(BITS * m / (max_bits + m), 32))
        return math.comb(max_bits + m, m) * (
            SORTING * (n_asked + n_stored) + COMPARING * n_asked * in_bucket
        )

    m = min(range(1, 5), key=cost)
    n_bands = max_bits + m
    bands = [sum(1 << bit for bit in range(band, BITS, n_bands)) for band in range(n_bands)]
    return [sum(chosen) for chosen in combinations(bands, m)]


def _bucket_pairs(
    asked: Hashes, stored: Hashes, mask: int, max_bits: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8], int]]:
    """Positions (asked, stored) of hashes of one bucket within `max_bits`, their distance, and buckets cut short."""
    asked_key, asked_at = _by_bucket(asked, mask)
    stored_key, stored_at = _by_bucket(stored, mask)
    start = np.searchsorted(stored_key, asked_key, side="left")
    size = np.searchsorted(stored_key, asked_key, side="right") - start
    n_cut = len(np.unique(asked_key[size > BUCKET_CAP]))
    size = np.minimum(size, BUCKET_CAP)
    left_hashes, right_hashes = asked[asked_at], stored[stored_at]
    ends = np.cumsum(size)
    at = 0
    while at < len(asked):
        before = int(ends[at - 1]) if at else 0
        stop = max(at + 1, int(np.searchsorted(ends, before + AT_ONCE, side="right")))
        counts = size[at:stop]
        left = np.repeat(np.arange(at, stop), counts)
        within = np.arange(len(left)) - np.repeat(ends[at:stop] - counts - before, counts)
        right = np.repeat(start[at:stop], counts) + within
        bits = np.bitwise_count(left_hashes[left] ^ right_hashes[right])
        near = np.flatnonzero(bits <= max_bits)
        yield asked_at[left[near]], stored_at[right[near]], bits[near], n_cut
        at, n_cut = stop, 0


def _by_bucket(hashes: Hashes, mask: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Bucket numbers (32 bits of a mixing of the masked hash), sorted, and the position of each one's hash.

    Number and position are sorted as one integer, which is many times faster than an argsort.
    """
    assert len(hashes) < 1 << 32
    mixed = (hashes & np.uint64(mask)) * np.uint64(SPREAD)
    packed = (mixed & np.uint64(0xFFFF_FFFF_0000_0000)) | np.arange(len(hashes), dtype=np.uint64)
    packed.sort()
    return packed >> np.uint64(32), (packed & np.uint64(0xFFFF_FFFF)).astype(np.int64)


def _ordered(pairs: Pairs, bits: NDArray[np.uint8], n_cut: int) -> ClosePairs:
    """Distinct pairs of different images, the smaller row number first, with the smallest distance found."""
    pairs = np.sort(pairs, axis=1)
    order = np.lexsort((bits, pairs[:, 1], pairs[:, 0]))
    pairs, bits = pairs[order], bits[order]
    new = np.r_[True, (pairs[1:] != pairs[:-1]).any(axis=1)][: len(pairs)] & (
        pairs[:, 0] != pairs[:, 1]
    )
    return ClosePairs(pairs[new], bits[new], n_cut)
