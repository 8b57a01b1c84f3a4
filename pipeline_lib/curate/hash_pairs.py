"""Pairs of 64-bit perceptual hashes that differ in a few bits, among millions, and the same picture turned or mirrored.

A hash's bits are the signs of the 8x8 lowest DCT coefficients (`inspect/hashes.py`). Mirroring a picture changes the
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
TRANSPOSE: Final = ((7, 0x00AA_00AA_00AA_00AA), (14, 0x0000_CCCC_0000_CCCC), (28, 0x0000_0000_F0F0_F0F0))
SPREAD: Final = 0x9E37_79B9_7F4A_7C15  # 2^64 / golden ratio, odd: Knuth's multiplicative hashing
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

    n_cut: buckets too large to compare in full; pairs may be missing there.
    """

    pairs: Pairs
    bits: NDArray[np.uint8]
    n_cut: int = 0


def orientations(hashes_N: Hashes) -> Hashes:
    """The hashes of all eight mirrored and turned forms of each picture, [8, N]; first the pictures as they are."""
    forms = []
    for upright in (hashes_N, _transposed(hashes_N)):
        for mirror in (0, ODD_COLUMNS, ODD_ROWS, ODD_COLUMNS ^ ODD_ROWS):
            forms.append(upright ^ np.uint64(mirror))
    return np.stack(forms)


def close_pairs(asked_FN: Hashes, stored_VN: Hashes, *, max_bits: int) -> ClosePairs:
    """Pairs of pictures of which some asked form differs from some stored variant in at most `max_bits` bits.

    asked_FN, stored_VN: F forms and V variants of the same N pictures. Every such pair is found, or its bucket is
    counted in n_cut. Equal hashes are joined each to the next, so that a thousand copies make no million pairs: what
    comes back connects the same pictures, not every pair of them.
    """
    n = asked_FN.shape[1]
    asked, asked_owner, asked_chain = _distinct(asked_FN, n)
    stored, stored_owner, stored_chain = _distinct(stored_VN, n)
    found, n_cut = [asked_chain, stored_chain], 0
    differing = [np.zeros(len(asked_chain) + len(stored_chain), np.uint8)]
    for mask in _masks(len(asked), len(stored), max_bits):
        for left, right, bits, cut in _bucket_pairs(asked, stored, mask, max_bits):
            found.append(np.stack([asked_owner[left], stored_owner[right]], axis=1))
            differing.append(bits)
            n_cut += cut
    return _ordered(np.concatenate(found), np.concatenate(differing), n_cut)


def _transposed(hashes: Hashes) -> Hashes:
    """Each hash as an 8x8 matrix of bits, transposed (Warren, Hacker's Delight, section 7-3)."""
    result = hashes.copy()
    for shift, mask in TRANSPOSE:
        swapped = (result ^ (result >> np.uint64(shift))) & np.uint64(mask)
        result ^= swapped ^ (swapped << np.uint64(shift))
    return result


def _distinct(hashes_VN: Hashes, n: int) -> tuple[Hashes, NDArray[np.int64], Pairs]:
    """Distinct hashes, sorted; a picture that has each; and pairs that chain the pictures of equal hashes."""
    flat = hashes_VN.ravel()
    order = np.argsort(flat, kind="stable")
    owner = order % n
    same = flat[order][1:] == flat[order][:-1]
    at = np.flatnonzero(same)
    first = np.flatnonzero(np.r_[True, ~same]) if len(flat) else at
    chain = np.stack([owner[at], owner[at + 1]], axis=1).astype(np.int64)
    return flat[order[first]], owner[first].astype(np.int64), chain


def _masks(n_asked: int, n_stored: int, max_bits: int) -> list[int]:
    """Sets of bits, in one of which at least any two hashes agree that differ in at most `max_bits` bits.

    The bits are dealt out to max_bits + m bands: m bands at least stay equal, whichever bits differ. A large m makes
    many small buckets, a small m few large ones; the cheapest is taken.
    """

    def cost(m: int) -> float:
        in_bucket = n_stored / math.exp2(min(BITS * m / (max_bits + m), 32))
        return math.comb(max_bits + m, m) * (SORTING * (n_asked + n_stored) + COMPARING * n_asked * in_bucket)

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
    """Distinct pairs of different pictures, the smaller row number first, with the smallest distance found."""
    pairs = np.sort(pairs, axis=1)
    order = np.lexsort((bits, pairs[:, 1], pairs[:, 0]))
    pairs, bits = pairs[order], bits[order]
    new = np.r_[True, (pairs[1:] != pairs[:-1]).any(axis=1)][: len(pairs)] & (pairs[:, 0] != pairs[:, 1])
    return ClosePairs(pairs[new], bits[new], n_cut)
