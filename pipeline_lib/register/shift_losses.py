"""Which shifted test sets a new model loses: a kind of corruption in all its strengths, or an extra test set.

Every image is shown up to three times in a kind, and answers to one image are alike. So an image counts once, by the sum
of its changes, and the test turns the sign of each image's sum: between equal models either sign is equally likely
(Fisher, "The Design of Experiments", 1935, section 21). With one answer per image that is McNemar's exact test. Holm's
adjustment is over all sets. A loss beyond chance holds a model, if it is large enough; it never refuses one: nobody has
said that the model must bear fog.

A corruption counts only in those strengths that the champion withstands. Where it has lost its way, nobody relies on it,
and models that differ by their seed alone are many points apart (benchmarks/whole/shift.py). They differ by some points in
the others too, so a corruption takes a larger loss: a champion that a seed made strong in the dark must not hold the
model of every later night.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.signal import convolve
from scipy.stats import binom

from pipeline_lib.register import sentences
from pipeline_lib.register.class_losses import holm
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.registry import Rule, RuleName, ShiftChange
from pipeline_lib.shift.names import family_of, is_corrupted, kind_and_strength

Counts = npt.NDArray[np.int64]
WITHSTOOD = 0.9  # of its accuracy on plain images, which the champion keeps


def shift_changes(
    answers: pd.DataFrame, params: RegisterParams, *, plain_top1: float
) -> tuple[ShiftChange, ...]:
    """Compare both models on each shifted test set; the largest loss first.

    answers: test_set, image_id, correct (the new model), champion_right, shared (both know a right class). plain_top1:
    the champion's on the plain test images. Left out is what the champion does not withstand.
    """
    shared = answers[answers["shared"].astype(bool)]
    champion = shared.groupby("test_set")["champion_right"].transform("mean")
    withstood = champion >= WITHSTOOD * plain_top1
    counted = shared[withstood | ~shared["test_set"].map(is_corrupted).astype(bool)]
    sets = [(str(name), rows) for name, rows in counted.groupby(counted["test_set"].map(family_of))]
    p_S = holm(np.array([loss_by_chance(_change_per_image(rows)) for _, rows in sets]))
    changes = [_change(name, rows, p, params) for (name, rows), p in zip(sets, p_S, strict=True)]
    return tuple(sorted(changes, key=lambda one: (one.change, one.name)))


def _change(name: str, rows: pd.DataFrame, p: float, params: RegisterParams) -> ShiftChange:
    champion, challenger = float(rows["champion_right"].mean()), float(rows["correct"].mean())
    certain = p <= params.shift_significance
    least = params.corruption_loss if is_corrupted(name) else params.shift_loss
    levels = [one for one in rows["test_set"].unique() if is_corrupted(one)]
    return ShiftChange(
        name=name,
        n_images=rows["image_id"].nunique(),
        champion_top1=champion,
        challenger_top1=challenger,
        p_adjusted=float(p),
        holds=bool(certain and champion - challenger >= least),
        strengths=tuple(sorted(kind_and_strength(one)[1] for one in levels)),
    )


def no_shift_lost(changes: Sequence[ShiftChange]) -> Rule:
    """A set that is certainly lost holds the model."""
    lost = [one for one in changes if one.holds]
    if lost:
        return Rule(RuleName.NO_SHIFT_LOST, None, sentences.lost_under_shift(lost))
    sentence = f"none of {len(changes)} shifted test sets loses more than chance explains"
    return Rule(RuleName.NO_SHIFT_LOST, True, sentence)


def loss_by_chance(change_N: Counts) -> float:
    """The chance of so low a sum if each image's change had either sign with probability 1/2. change_N: integers."""
    sizes, n_S = np.unique(np.abs(change_N[change_N != 0]), return_counts=True)
    # How likely each number of negative signs is, size by size; the sum of all that is lost is what they add up to.
    chance_of = np.ones(1)
    for size, n in zip(sizes.tolist(), n_S.tolist(), strict=True):
        spread = np.zeros(size * n + 1)
        spread[::size] = binom.pmf(np.arange(n + 1), n, 0.5)
        chance_of = convolve(chance_of, spread)
    lost = int(-change_N[change_N < 0].sum())
    return float(np.clip(chance_of[lost:].sum(), 0.0, 1.0))


def _change_per_image(rows: pd.DataFrame) -> Counts:
    change = rows["correct"].astype(int) - rows["champion_right"].astype(int)
    return change.groupby(rows["image_id"]).sum().to_numpy().astype(np.int64)
