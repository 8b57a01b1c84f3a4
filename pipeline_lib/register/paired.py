"""Paired statistics of two models on the same N pictures; b: only the champion is right, c: only the challenger."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc

from pipeline_lib.registry import ClassChange, Comparison

Flags = npt.NDArray[np.bool_]
Z95 = 1.6448536269514722  # the normal distribution's 95 % point: one-sided bounds
POOLED = "(small classes together)"


def compare(champion_N: Flags, challenger_N: Flags, *, champion_version: int, smallest_margin: float) -> Comparison:
    """Bound the difference of top-1 from the pictures that exactly one of the two gets right.

    Agresti and Min's adjusted Wald interval for matched pairs (Statistics in Medicine 2005, doi 10.1002/sim.1781):
    half a picture is added to b and to c. The margin grows where N is small, with 2 % of pictures in dispute assumed.
    """
    n = len(champion_N)
    b, c = int((champion_N & ~challenger_N).sum()), int((challenger_N & ~champion_N).sum())
    delta = (c - b) / (n + 2)
    error = math.sqrt((b + c + 1) - (c - b) ** 2 / (n + 2)) / (n + 2)
    return Comparison(
        champion_version=champion_version,
        n_images=n,
        n_only_champion=b,
        n_only_challenger=c,
        champion_top1=float(champion_N.mean()),
        challenger_top1=float(challenger_N.mean()),
        delta=delta,
        low=delta - Z95 * error,
        high=delta + Z95 * error,
        margin=max(smallest_margin, 3 * math.sqrt(0.02 / n)),
    )


def class_changes(
    class_N: Sequence[str],
    champion_N: Flags,
    challenger_N: Flags,
    *,
    significance: float,
    class_loss: float,
    small_class_images: int,
) -> tuple[ClassChange, ...]:
    """Test each class for a loss, smaller ones together, with Holm's adjustment; the largest loss first."""
    names, index_N, size_K = np.unique(np.asarray(class_N), return_inverse=True, return_counts=True)
    pooled_K = size_K < small_class_images
    group_N = np.where(pooled_K[index_N], -1, index_N)
    groups = sorted(set(group_N.tolist()))
    lost_G = np.array([(champion_N & ~challenger_N & (group_N == group)).sum() for group in groups])
    won_G = np.array([(challenger_N & ~champion_N & (group_N == group)).sum() for group in groups])
    size_G = np.array([(group_N == group).sum() for group in groups])
    p_G = holm(mcnemar_loss(lost_G, won_G))
    blocks_G = (p_G <= significance) & ((lost_G - won_G) / size_G >= class_loss)
    changes = [
        ClassChange(POOLED if group < 0 else str(names[group]), int(n), int(b), int(c), float(p), bool(blocks))
        for group, n, b, c, p, blocks in zip(groups, size_G, lost_G, won_G, p_G, blocks_G, strict=True)
    ]
    return tuple(sorted(changes, key=lambda change: (change.change, change.name)))


def mcnemar_loss(b: npt.ArrayLike, c: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """One-sided exact McNemar test: the chance of b or more of b + c when both are equally likely.

    McNemar 1947, doi 10.1007/BF02295996; exact form: a binomial test on the discordant pairs.
    """
    b, c = np.asarray(b), np.asarray(c)
    p: npt.NDArray[np.float64] = bdtrc(b - 1.0, b + c, 0.5)
    return np.where(b == 0, 1.0, p)


def holm(p_K: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Holm's step-down adjustment of p values (Scandinavian Journal of Statistics 1979, 6:65-70)."""
    order = np.argsort(p_K, kind="stable")
    steps = np.maximum.accumulate(p_K[order] * (len(p_K) - np.arange(len(p_K))))
    adjusted = np.empty_like(steps)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
