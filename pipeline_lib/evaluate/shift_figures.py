"""How much the model loses on shifted test sets: shift.csv, and the section `shift` of metrics.json."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline_lib.evaluate.metrics import share_with_interval
from pipeline_lib.paired_change import score_interval
from pipeline_lib.share_interval import TWO_SIDED_95, Interval, wilson
from pipeline_lib.shift.names import CORRUPTED, EXTRA, family_of, is_corrupted

Bools = npt.NDArray[np.bool_]
FIGURES = ("top1", "top1_low", "top1_high", "drop", "drop_low", "drop_high")


def shift_figures(
    shifted: pd.DataFrame, test: pd.DataFrame, plain_of_sets: Mapping[str, Bools]
) -> pd.DataFrame:
    """One row per test set, and per mean of some: n images, top-1, and the drop against the plain test split.

    shifted: rows of SHIFTED. test: image_id and `correct` of the test split. plain_of_sets: see extra_figures. Corrupted
    images are compared with themselves (Tango's interval, paired), extra ones with plain test images of their classes
    (Newcombe's). `corrupted/<kind>` and `corrupted` are means over strengths and kinds; their limits are the means of the
    limits: as wide as if all answers to an image were alike. All limits are of 95 %.
    """
    plain = test.set_index("image_id")["correct"].astype(bool)
    rows = [
        _corrupted(str(name), answers, plain)
        if is_corrupted(str(name))
        else _extra(str(name), answers, plain_of_sets[str(name)])
        for name, answers in shifted.groupby("test_set")
    ]
    columns = ["test_set", "n", *FIGURES]
    figures = pd.DataFrame(rows, columns=columns)
    corrupted = figures[figures["test_set"].map(is_corrupted).astype(bool)]
    by_kind = corrupted.groupby(corrupted["test_set"].map(family_of), sort=True)
    means = [_mean(str(kind), some) for kind, some in by_kind]
    if means:
        means.append(_mean(CORRUPTED, corrupted))
    both = pd.concat([figures, pd.DataFrame(means, columns=columns)], ignore_index=True)
    return both.sort_values("test_set", ignore_index=True)


def summary(figures: pd.DataFrame) -> dict[str, float]:
    """What metrics.json holds of them: flat, without the single strengths."""
    found: dict[str, float] = {}
    for row in figures.to_dict("records"):
        parts = str(row["test_set"]).split("/")
        if len(parts) == 3 or parts[0] == EXTRA:
            continue  # a section of its own has extra test sets
        name = "_".join(parts)
        found |= {f"{name}_n": int(row["n"])}
        found |= {f"{name}_{figure}": float(row[figure]) for figure in FIGURES}
    return found


def _corrupted(name: str, answers: pd.DataFrame, plain: pd.Series) -> dict[str, str | float]:
    shifted_N = answers["correct"].to_numpy(bool)
    plain_N = plain.loc[answers["image_id"]].to_numpy(bool)
    only_plain = int((plain_N & ~shifted_N).sum())
    only_shifted = int((shifted_N & ~plain_N).sum())
    n = len(answers)
    low, high = score_interval(only_shifted, only_plain, n, z=TWO_SIDED_95)
    drop = {"drop": (only_plain - only_shifted) / n, "drop_low": low, "drop_high": high}
    return {
        "test_set": name,
        "n": n,
        **share_with_interval("top1", int(shifted_N.sum()), n),
        **drop,
    }


def _extra(name: str, answers: pd.DataFrame, plain_N: Bools) -> dict[str, str | float]:
    right, n = int(answers["correct"].sum()), len(answers)
    drop, limits = difference(int(plain_N.sum()), len(plain_N), right, n)
    return {
        "test_set": name,
        "n": n,
        **share_with_interval("top1", right, n),
        "drop": drop,
        "drop_low": limits.low,
        "drop_high": limits.high,
    }


def difference(right_a: int, n_a: int, right_b: int, n_b: int) -> tuple[float, Interval]:
    """Share a less share b, of different images, with its interval.

    Newcombe's method 10 (Statistics in Medicine 1998, 17:873, doi
    10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I).
    """
    a, b = right_a / n_a, right_b / n_b
    limits_a, limits_b = wilson(right_a, n_a), wilson(right_b, n_b)
    below = math.hypot(a - limits_a.low, limits_b.high - b)
    above = math.hypot(limits_a.high - a, b - limits_b.low)
    return a - b, Interval(a - b - below, a - b + above)


def _mean(name: str, figures: pd.DataFrame) -> dict[str, str | float]:
    means = {figure: float(figures[figure].mean()) for figure in FIGURES}
    return {"test_set": name, "n": int(figures["n"].max()), **means}
