"""The closer look at pairs of photographs: each view is read, and each pair looked at, once.

Pairs come as row numbers, the smaller first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

from pipeline_lib.curate.duplicate_frames import additions
from pipeline_lib.curate.duplicate_keypoints import Keypoints, keypoints, matched_place
from pipeline_lib.curate.duplicate_photographs import (
    NOTHING,
    Likeness,
    likeness,
    likeness_as_they_are,
    likeness_within,
    view_pixels,
)
from pipeline_lib.curate.overlay import Bytes

KEYPOINTS_KEPT: Final = 20_000  # of that many images in memory, some 300 MB
Look = Callable[[int, int], Likeness]


@dataclass(frozen=True)
class Looks:
    """anywhere: how like two photographs are. within: the same by their keypoints alone, where the one lies in the other.

    Without keypoints in common `within` takes a twentieth of the time. framed: those of some copies that show the image
    of the other in a frame, on a screen or under a caption.
    """

    anywhere: Look
    within: Look
    framed: Callable[[Iterable[tuple[int, int]]], frozenset[int]]


def looks_at(
    jpegs: Callable[[int], bytes], aspect: Callable[[int], float], *, variants: bool
) -> Looks:
    """jpegs: row -> its view. aspect: row -> width by height. variants: not only whole upright images are compared."""

    def pixels(row: int) -> Bytes:
        return view_pixels(jpegs(row))

    @lru_cache(KEYPOINTS_KEPT)
    def points(row: int) -> Keypoints:
        return keypoints(pixels(row), aspect=aspect(row))

    @cache
    def within(a: int, b: int) -> Likeness:
        place = matched_place(points(a), points(b))
        return NOTHING if place is None else likeness_within(pixels(a), pixels(b), place)

    @cache
    def anywhere(a: int, b: int) -> Likeness:
        found = likeness_as_they_are(pixels(a), pixels(b))
        if variants and not found.is_copy:  # what takes least time comes first
            found = max(found, within(a, b))
        if not found.is_copy:
            found = max(found, likeness(pixels(a), pixels(b), turned=variants))
        return found

    def framed(pairs: Iterable[tuple[int, int]]) -> frozenset[int]:
        rows = set()
        for a, b in pairs:
            place = matched_place(points(a), points(b))
            if place is not None:
                bears = additions(pixels(a), pixels(b), place)
                rows |= {row for row, more in zip((a, b), bears, strict=True) if more}
        return frozenset(rows)

    return Looks(anywhere, within, framed)
