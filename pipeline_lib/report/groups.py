"""The page of groups: how the model does on test images of one source, size, brightness, or group that people named.

Groups and answers meet here and not in `evaluate`: neither an override nor another table of groups re-runs an evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline_lib.report.pages import SHOWN_IN_BIN, Section, gallery_of
from pipeline_lib.slices.columns import Wanted, read_columns
from pipeline_lib.slices.measure import Finding, InClass, Slice, SlicedColumn, Slices, measure

NO_VALUE = "no value"
NAMED = 5  # groups on the first page
MOST_SHOWN, MOST_SMALL = 40, 20  # groups of a column on the page; all are in the table
CHANCES = ("p", "p_adjusted", "p_lost")
MEANING = {
    "column": "as in register.slices",
    "group": "value of the column; empty: images without one",
    "class": "class id; empty: all classes of the group",
    "images": "test images",
    "right": "and those with the right answer; empty in a group that is too small",
    "share": "right of images, 0..1",
    "low": "lower limit of its 95 % interval (Wilson)",
    "high": "and the upper one",
    "difference": "share minus that of other images of the same classes, -1..1 (Mantel-Haenszel)",
    "difference_low": "lower limit of its 95 % interval (Sato, Greenland, Robins)",
    "difference_high": "and the upper one",
    "p": "exact Cochran-Mantel-Haenszel test of the group against other images of the same classes; empty: not tested",
    "p_adjusted": "and adjusted by Holm over all tests of the report",
    "finding": "worse, better, no difference shown, or why nothing can be said",
    "lost": "images that only the champion has right",
    "won": "images that only this model has right",
    "p_lost": "exact McNemar test of a loss against the champion, adjusted likewise",
}


@dataclass(frozen=True)
class Groups:
    """What the page shows. claims: for the first page, worst first. sections: the mistakes of groups that stand out.

    tables: the classes of each group that stands out, by the anchor of its section.
    """

    slices: Slices = field(default_factory=Slices)
    claims: tuple[Claim, ...] = ()
    sections: tuple[Section, ...] = ()
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    names: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[SlicedColumn, ...]:
        """The columns that images were grouped by."""
        return self.slices.columns


@dataclass(frozen=True)
class Claim:
    """A group that stands out, beyond chance. classes: of the group, the largest difference first."""

    anchor: str
    title: str
    value: str
    slice: Slice
    classes: tuple[InClass, ...]


def groups_of(
    wanted: Wanted | None,
    answers: pd.DataFrame,
    files: Mapping[str, Path],
    *,
    names: tuple[str, ...],
) -> Groups:
    """Group and measure. answers: as `read_answers`, with the champion's where known. names: of the classes, in order."""
    if wanted is None or not wanted.columns or answers.empty:
        return Groups()
    columns = read_columns(wanted, answers["image_id"].tolist(), files)
    slices = measure(answers, columns)
    claims = tuple(
        Claim(f"group-{place}", column.title, worded(one.value), one, _worst_classes(one))
        for place, (column, one) in enumerate(slices.standing_out)
    )
    wrong_N = ~answers["correct"].to_numpy(bool)
    sections = tuple(_section(claim, answers, wrong_N) for claim in claims)
    return Groups(slices, claims, sections, as_table(slices, _class_ids(answers)), names)


def worded(value: str | None) -> str:
    """A group's name for people."""
    return NO_VALUE if value is None else value


def as_table(slices: Slices, class_ids: Mapping[int, str]) -> pd.DataFrame:
    """slices.csv: a row per group, and one per class in it that is large enough, in the columns of `MEANING`."""
    rows = []
    for column in slices.columns:
        for one in (*column.slices, *column.small):
            group = {"column": column.name, "group": one.value or "", "class": ""}
            rows.append({**group, "images": len(one.rows), **_figures(one)})
            for part in one.classes:
                share = part.share
                figures = {"images": share.n, "right": share.right, "share": share.value}
                limits = {"low": share.low, "high": share.high}
                rows.append({**group, "class": class_ids[part.label], **figures, **limits})
    table = pd.DataFrame(rows, columns=list(MEANING))
    counts = dict.fromkeys(["right", "lost", "won"], "Int64")
    shares = ["share", "low", "high", "difference", "difference_low", "difference_high"]
    chances = {name: table[name].map(_four_digits, na_action="ignore") for name in CHANCES}
    numbers = {name: table[name].astype(float).round(4) for name in shares}
    return table.assign(**numbers, **chances).astype(counts)


def _four_digits(p: float) -> float:
    return float(f"{p:.4g}")


def _figures(one: Slice) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "finding": str(one.finding),
        "p": one.p,
        "p_adjusted": one.p_adjusted,
    }
    if one.share:
        share = one.share
        figures |= {
            "right": share.right,
            "share": share.value,
            "low": share.low,
            "high": share.high,
        }
    if one.difference:
        apart = one.difference
        figures |= {"difference": apart.value}
        figures |= {"difference_low": apart.low, "difference_high": apart.high}
    if one.since:
        since = one.since
        figures |= {"lost": since.n_lost, "won": since.n_won, "p_lost": since.p_adjusted}
    return figures


def _class_ids(answers: pd.DataFrame) -> dict[int, str]:
    found = answers.drop_duplicates("label")
    return dict(zip(found["label"].tolist(), found["true_class"].tolist(), strict=True))


def _worst_classes(one: Slice) -> tuple[InClass, ...]:
    """The classes that can be compared, the largest loss first."""
    compared = [part for part in one.classes if part.elsewhere]
    return tuple(sorted(compared, key=_difference)[:MOST_SHOWN])


def _difference(part: InClass) -> float:
    return part.share.value - (part.elsewhere.value if part.elsewhere else 0.0)


def _section(claim: Claim, answers: pd.DataFrame, wrong_N: np.ndarray[Any, Any]) -> Section:
    rows = np.sort(claim.slice.rows)
    shown = answers.iloc[rows[wrong_N[rows]]]
    return Section(
        claim.anchor, claim.title, gallery_of(shown, SHOWN_IN_BIN), said(claim), name=claim.value
    )


def said(claim: Claim) -> str:
    """What is claimed, in a sentence."""
    one = claim.slice
    share, apart, since = one.share, one.difference, one.since
    assert share is not None, "a group that stands out was measured"
    parts = [
        f"{percent(share.value)} of {share.n:,} images are right ({percent(share.low)} to {percent(share.high)})"
    ]
    if one.finding in (Finding.WORSE, Finding.BETTER) and apart and one.p_adjusted is not None:
        parts.append(
            f"{points(apart.value)} points {one.finding} than other images of the same classes "
            f"({points(apart.low, True)} to {points(apart.high, True)}; {p_value(one.p_adjusted)})"
        )
    if since and since.lost and since.p_adjusted is not None:
        parts.append(
            f"{since.n_lost:,} images lost and {since.n_won:,} won against the champion "
            f"({p_value(since.p_adjusted)})"
        )
    return "; ".join(parts)


def percent(share: float) -> str:
    """93.1 %."""
    return f"{100 * share:.1f} %"


def points(difference: float, signed: bool = False) -> str:
    """A difference of shares in points."""
    value = 100 * difference
    return f"{value:+.1f}".replace("-", "\N{MINUS SIGN}") if signed else f"{abs(value):.1f}"


def p_value(p: float) -> str:
    """p = 0.003."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"
