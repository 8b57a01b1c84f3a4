"""How the images of this version differ from those of the version before, out of their profiles.

The population stability index of a histogram is the sum over its bins of (p - q) ln(p / q), p and q the shares now and
before. Under .1 little has changed, from .25 on much (N. Siddiqi, "Credit Risk Scorecards", Wiley 2006). Two samples of
n and m rows from one population give about (1/n + 1/m) times a chi-square of as many degrees of freedom as there are
bins less one (B. Yurdakul, "Statistical Properties of Population Stability Index", Western Michigan University, 2018):
what does not pass that is called steady however large it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MODERATE, LARGE = 0.1, 0.25
CHANCE = 0.001  # how often a steady column may look drifted
SHOWN_CLASSES = 15


@dataclass(frozen=True)
class Previous:
    """The version compared with: its number, and its profile.json."""

    number: int
    profile: Path


@dataclass(frozen=True)
class ColumnDrift:
    """One measured column. size: steady, moderate or large. bins: shares before and now, 0..1, bin by bin."""

    name: str
    psi: float
    size: str
    bins: tuple[tuple[float, float], ...]

    @property
    def highest(self) -> float:
        """The largest share of all bins; never 0."""
        return max((share for pair in self.bins for share in pair), default=0.0) or 1.0


@dataclass(frozen=True)
class ClassShift:
    """A class whose share of all images changed beyond chance; before or now is 0 for a new or a vanished one."""

    name: str
    n_before: int
    n_now: int
    before: float
    now: float


@dataclass(frozen=True)
class Drift:
    """classes: the largest shifts, largest first; n_classes: how many there are. same: the very same profile."""

    version: int
    same: bool
    columns: tuple[ColumnDrift, ...]
    classes: tuple[ClassShift, ...]
    n_classes: int


def drift_since(previous: Previous, profile: Path) -> Drift:
    """Compare two profile.json."""
    before = json.loads(previous.profile.read_text(encoding="utf-8"))
    now = json.loads(profile.read_text(encoding="utf-8"))

    # Histograms can be compared where their bins are the same.
    columns: list[ColumnDrift] = []
    for name, found in now["columns"].items():
        earlier = before["columns"].get(name, {})
        if found["edges"] == earlier.get("edges"):
            columns.append(_column(name, earlier["counts"], found["counts"]))
    shifts = _class_shifts(before["classes"], now["classes"])
    return Drift(
        previous.number, before == now, tuple(columns), tuple(shifts[:SHOWN_CLASSES]), len(shifts)
    )


def stability_index(before: list[int], now: list[int]) -> tuple[float, float]:
    """The index of two histograms with the same bins, and what chance alone stays under (99.9 %).

    Bins empty in both are left out; half a count is added to every other, or an empty one would make it infinite.
    """
    from scipy.stats import chi2

    counts = np.array([before, now], dtype=float)
    counts = counts[:, counts.sum(axis=0) > 0]
    if not counts.sum(axis=1).all():
        return math.nan, math.nan
    n_before, n_now = counts.sum(axis=1)
    smoothed = counts + 0.5
    q, p = smoothed / smoothed.sum(axis=1, keepdims=True)
    index = ((p - q) * np.log(p / q)).sum()
    degrees = max(counts.shape[1] - 1, 1)
    chance = (1 / n_before + 1 / n_now) * chi2.isf(CHANCE, degrees)
    return float(index), float(chance)


def _column(name: str, before: list[int], now: list[int]) -> ColumnDrift:
    psi, chance = stability_index(before, now)
    size = "steady"
    if psi > chance:
        size = "large" if psi >= LARGE else "moderate" if psi >= MODERATE else "steady"
    bins = zip(_shares(before).tolist(), _shares(now).tolist(), strict=True)
    return ColumnDrift(name, psi, size, tuple(bins))


def _shares(counts: list[int]) -> NDArray[np.float64]:
    return np.array(counts, dtype=float) / max(sum(counts), 1)


def _class_shifts(before: Mapping[str, int], now: Mapping[str, int]) -> list[ClassShift]:
    """Classes that came, went, or whose shares differ by more than a two-proportion z-test leaves to chance."""
    from scipy.stats import norm

    n_before = sum(before.values())
    n_now = sum(now.values())
    if not n_before or not n_now:
        return []
    limit = norm.isf(CHANCE / 2)
    z_of: dict[str, float] = {}
    shifts: list[ClassShift] = []
    for name in sorted({*before, *now}):
        had = before.get(name, 0)
        has = now.get(name, 0)
        one = ClassShift(name, had, has, had / n_before, has / n_now)

        # How many standard errors of the difference lie between the shares.
        pooled = (had + has) / (n_before + n_now)
        spread = math.sqrt(pooled * (1 - pooled) * (1 / n_before + 1 / n_now))
        z = abs(one.now - one.before) / spread if spread else 0.0
        came_or_went = not (had and has)
        if z > limit or came_or_went:
            z_of[name] = z
            shifts.append(one)
    return sorted(shifts, key=lambda shift: (-z_of[shift.name], shift.name))
