"""Whether a group's images are answered worse than other images of the same classes. Exact, class by class.

K strata (classes); in stratum k the group has n1 images with a wrong answer on x of them, the others have n0 images with
y wrong ones. Comparing within classes keeps a group that consists of difficult classes from passing for a difficult group.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from pipeline_lib.share_interval import TWO_SIDED_95

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
SAME = 1 + 1e-7  # two probabilities this near are equal, as in R's and SciPy's tests


@dataclass(frozen=True)
class Strata:
    """Counts by class. Of the group: images and wrong answers among them; the same of all other images."""

    n1_K: Counts
    wrong1_K: Counts
    n0_K: Counts
    wrong0_K: Counts

    @property
    def shared_K(self) -> npt.NDArray[np.bool_]:
        """The classes that hold images of the group and others."""
        return (self.n1_K > 0) & (self.n0_K > 0)


@dataclass(frozen=True)
class Difference:
    """A difference of two shares, -1..1, with the limits of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ExactTest:
    """p: two-sided. least_p: the smallest that these numbers of images and mistakes could give."""

    p: float
    least_p: float


def strata_of(
    label_N: npt.NDArray[np.integer],
    wrong_N: npt.NDArray[np.bool_],
    of_group_N: npt.NDArray[np.bool_],
) -> Strata:
    """Count a group and the other images by class. label_N: class index 0..K-1 of each of N images."""
    n_classes = int(label_N.max(initial=-1)) + 1

    def counted(rows: npt.NDArray[np.bool_]) -> Counts:
        return np.bincount(label_N[rows], minlength=n_classes).astype(np.int64)

    return Strata(
        counted(of_group_N),
        counted(of_group_N & wrong_N),
        counted(~of_group_N),
        counted(~of_group_N & wrong_N),
    )


def exact_test(strata: Strata) -> ExactTest:
    """The exact conditional Cochran-Mantel-Haenszel test; with one class it is Fisher's exact test.

    Given how many images and how many mistakes a class has, the group's share of its mistakes is hypergeometric where
    the group plays no part; over the classes these numbers add up. p sums what is at most as probable as the number
    found. Mantel and Haenszel, J. Natl. Cancer Inst. 1959, 22:719; exact: Agresti, "Categorical Data Analysis",
    Wiley 2013, 7.3.5; R: `mantelhaen.test(exact = TRUE)`.
    """
    has_both = strata.shared_K
    n1, n0 = strata.n1_K[has_both], strata.n0_K[has_both]
    x, mistakes = strata.wrong1_K[has_both], (strata.wrong1_K + strata.wrong0_K)[has_both]
    tells = (mistakes > 0) & (mistakes < n1 + n0)
    if not tells.any():
        return ExactTest(1.0, 1.0)
    least_x = np.maximum(0, mistakes - n0)[tells]
    parts = [
        _hypergeometric(*of_class)
        for of_class in zip(
            n1[tells].tolist(), n0[tells].tolist(), mistakes[tells].tolist(), strict=True
        )
    ]
    d = _sum_of(parts)
    found = d[int(x[tells].sum() - least_x.sum())]
    return ExactTest(_tail(d, found), _tail(d, float(d.min())))


def difference(strata: Strata) -> Difference | None:
    """The group's share of right answers minus that of other images of the same classes; None where no class has both.

    The classes' differences weighted by n1 n0 / (n1 + n0) (Mantel, Haenszel; Greenland, Robins, Biometrics 1985, 41:55),
    with the variance of Sato, Greenland, Robins (Biometrics 1989, 45:1323), which holds for few large classes as for
    many small ones.
    """
    has_both = strata.shared_K
    if not has_both.any():
        return None
    n1, n0 = strata.n1_K[has_both].astype(float), strata.n0_K[has_both].astype(float)
    right1, right0 = n1 - strata.wrong1_K[has_both], n0 - strata.wrong0_K[has_both]
    n = n1 + n0
    weight = float((n1 * n0 / n).sum())
    value = float((right1 * n0 / n - right0 * n1 / n).sum()) / weight
    p = right0 * (n1 / n) ** 2 - right1 * (n0 / n) ** 2 + n1 / n * (n0 / n) * (n0 - n1) / 2
    q = (right1 * (n0 - right0) / n + right0 * (n1 - right1) / n) / 2
    spread = math.sqrt(max(value * float(p.sum()) + float(q.sum()), 0.0)) / weight
    low, high = value - TWO_SIDED_95 * spread, value + TWO_SIDED_95 * spread
    return Difference(value, max(low, -1.0), min(high, 1.0))


def _hypergeometric(n1: int, n0: int, mistakes: int) -> Floats:
    """The probabilities of x mistakes among the n1 images of the group, from the least possible x to the largest."""
    x = np.arange(max(0, mistakes - n0), min(n1, mistakes) + 1)
    log_d = _log_choose(n1, x) + _log_choose(n0, mistakes - x) - _log_choose(n1 + n0, mistakes)
    d = np.exp(log_d)
    return np.asarray(d / d.sum(), float)


def _log_choose(n: int, k: npt.ArrayLike) -> Floats:
    k = np.asarray(k)
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), float)


def _sum_of(parts: list[Floats]) -> Floats:
    """The distribution of the sum of independent numbers. In pairs, smallest first; products of positive numbers only,
    so that small tails keep all their digits."""
    while len(parts) > 1:
        parts = sorted(parts, key=len)
        pairs = zip(parts[::2], parts[1::2], strict=False)
        parts = [np.convolve(one, other) for one, other in pairs] + parts[len(parts) // 2 * 2 :]
    return parts[0]


def _tail(d: Floats, found: float) -> float:
    return min(float(d[d <= found * SAME].sum()), 1.0)
