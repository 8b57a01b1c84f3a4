"""Which classes a new model loses. K classes; per class b: only the champion is right, c: only the challenger.

Two rules. Holm's over all classes is strict and blocks. The other only holds a model back, and works where classes are
small: between equal models each of the b + c disputed images of a class is lost with probability 1/2, however many
they are. So the chance that the unluckiest of all classes looks this bad is known exactly, and a class that could not
look so bad costs nothing (Tarone, Biometrics 1990, 46:515; Westfall and Young, "Resampling-Based Multiple Testing",
Wiley 1993).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, bdtrc

from pipeline_lib.register.paired import POWER, Flags
from pipeline_lib.registry import ClassChange

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
SAME = 1 + 1e-9  # two tails of a binomial this near are equal


def class_changes(
    class_N: Sequence[str],
    champion_N: Flags,
    challenger_N: Flags,
    *,
    significance: float,
    hold_significance: float,
    class_loss: float,
) -> tuple[ClassChange, ...]:
    """Count every class and test it for a loss; the largest loss first."""
    names, index_N, n_K = np.unique(np.asarray(class_N), return_inverse=True, return_counts=True)
    right_K = np.bincount(index_N, weights=champion_N, minlength=len(names)).astype(int)
    lost_K = np.bincount(index_N, weights=champion_N & ~challenger_N, minlength=len(names)).astype(
        int
    )
    won_K = np.bincount(index_N, weights=challenger_N & ~champion_N, minlength=len(names)).astype(
        int
    )
    disputed_K = lost_K + won_K

    # A loss refuses or holds a model only when it is large as well as beyond chance.
    p_K = mcnemar_loss(lost_K, won_K)
    holm_K = holm(p_K)
    large_K = (lost_K - won_K) / n_K >= class_loss
    by_chance = surest_by_chance(disputed_K, hold_significance)
    falls_K = (p_K <= by_chance * SAME) & large_K

    # A class whose every right answer might be lost without being seen.
    hidden_K = 0.5**right_K > tail_to_hold(disputed_K, hold_significance)
    changes = [
        ClassChange(
            name=str(name),
            n_images=int(n_K[k]),
            n_only_champion=int(lost_K[k]),
            n_only_challenger=int(won_K[k]),
            p_adjusted=float(holm_K[k]),
            blocks=bool(holm_K[k] <= significance and large_K[k]),
            n_champion=int(right_K[k]),
            falls=bool(falls_K[k]),
            hidden=bool(hidden_K[k]),
        )
        for k, name in enumerate(names)
    ]
    return tuple(sorted(changes, key=lambda change: (change.change, change.name)))


def mcnemar_loss(b: npt.ArrayLike, c: npt.ArrayLike) -> Floats:
    """One-sided exact McNemar test: the chance of b or more of b + c when both are equally likely.

    McNemar 1947, doi 10.1007/BF02295996; exact form: a binomial test on the discordant pairs.
    """
    b, c = np.asarray(b), np.asarray(c)
    p: Floats = bdtrc(b - 1.0, b + c, 0.5)
    return np.where(b == 0, 1.0, p)


def holm(p_K: Floats) -> Floats:
    """Holm's step-down adjustment of p values (Scandinavian Journal of Statistics 1979, 6:65-70)."""
    order = np.argsort(p_K, kind="stable")
    steps = np.maximum.accumulate(p_K[order] * (len(p_K) - np.arange(len(p_K))))
    adjusted = np.empty_like(steps)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def surest_by_chance(disputed_K: Counts, significance: float) -> float:
    """The largest p for which equal models show a class of this p or less with at most this probability; 0: none.

    disputed_K: b + c of each class, given which the classes are independent.
    """
    # The chance that no class shows a tail of p or less is a product over classes; its logarithm falls in steps, one at
    # each tail that some class can show.
    sizes, n_classes = np.unique(disputed_K[disputed_K > 0], return_counts=True)
    steps: list[
        tuple[float, float]
    ] = []  # a tail that a class can show, and what it adds to -log P(no class does)
    for size, count in zip(sizes.tolist(), n_classes.tolist(), strict=True):
        tails = np.sort(bdtrc(np.arange(size), size, 0.5))  # more than 0 to size - 1 of size
        tails = tails[tails <= significance]
        added = np.diff(np.log1p(-tails), prepend=0.0)
        steps += zip(tails.tolist(), (-count * added).tolist(), strict=True)
    if not steps:
        return 0.0

    # All classes' steps in order of p; of equal tails the last one has the chance of all of them.
    tails, added = np.array(sorted(steps)).T
    chance = -np.expm1(-np.cumsum(added))
    last_equal = np.searchsorted(tails, tails * SAME, side="right") - 1
    allowed = tails[chance[last_equal] <= significance]
    return float(allowed[-1]) if len(allowed) else 0.0


def tail_to_hold(disputed_K: Counts, significance: float) -> float:
    """The largest p at which one more class, among classes with these disputes, holds a model."""
    sizes, n_classes = np.unique(disputed_K[disputed_K > 0], return_counts=True)
    below, above = 0.0, significance
    for _ in range(40):
        p = (below + above) / 2
        reached = np.array([_largest_tail(size, p) for size in sizes.tolist()])
        chance = 1 - (1 - p) * float(np.exp((n_classes * np.log1p(-reached)).sum()))
        if chance <= significance:
            below = p
        else:
            above = p
    return below


def _largest_tail(size: int, p: float) -> float:
    """The largest chance of `k or more of size`, at 1/2 each, that is not above p."""
    tails = bdtrc(np.arange(size), size, 0.5)
    return float(tails[tails <= p * SAME].max(initial=0.0))


def visible_class_loss(
    changes: Sequence[ClassChange], *, hold_significance: float, class_loss: float
) -> tuple[int, float | None]:
    """Images of the median class, and the loss of its recall that is noticed four times in five; None: no loss is."""
    disputed_K = np.array([change.n_only_champion + change.n_only_challenger for change in changes])
    n_K = np.array([change.n_images for change in changes])
    n_median = int(np.median(n_K))
    p = tail_to_hold(disputed_K, hold_significance)
    background = float(disputed_K.sum() / n_K.sum())
    for points in range(1, 101):
        loss = points / 100
        if _noticed(loss, n_median, p, background, class_loss) >= POWER:
            return n_median, loss
    return n_median, None


def _noticed(loss: float, n: int, p: float, background: float, class_loss: float) -> float:
    """How often a class of n images with this true loss has a tail of p or less and loses `class_loss` or more."""
    won = background / 2 * (1 - loss)
    lost = min(loss + background / 2, 1 - won)
    disputed = min(lost + won, 1.0)
    disputed_M = np.arange(1, n + 1)

    # How many must be lost: enough for the tail, and enough for the size of the loss.
    for_tail_M = _least_lost(disputed_M, p)
    for_size_M = np.ceil((disputed_M + class_loss * n) / 2 - 1e-9)
    least_M = np.maximum(for_tail_M, for_size_M)

    # Over all numbers of disputed images: how likely the number is, times how often so many of them are lost.
    chance_M = bdtr(disputed_M, n, disputed) - bdtr(disputed_M - 1, n, disputed)
    shows_M = np.where(
        least_M > disputed_M, 0.0, bdtrc(least_M - 1, disputed_M, lost / (lost + won))
    )
    return float((chance_M * shows_M).sum())


def _least_lost(disputed_M: Counts, p: float) -> Counts:
    """The fewest lost of so many disputed images whose tail is p or less; one more than all: none is."""
    low, high = np.zeros_like(disputed_M), disputed_M + 1
    while (low < high).any():
        is_open = low < high
        middle = (low + high) // 2
        rest = np.maximum(disputed_M - middle, 0)
        enough = (middle > disputed_M) | (mcnemar_loss(middle, rest) <= p * SAME)
        high = np.where(enough & is_open, middle, high)
        low = np.where(~enough & is_open, middle + 1, low)
    return low
