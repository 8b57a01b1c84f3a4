"""Measure a model on every group of the test images, and say which groups differ beyond chance.

One family of tests: each group against the other images of the same classes, and each against the champion on the same
images. Holm's correction runs over all tests made, so that a report claims anything false in at most one night of twenty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline_lib.register.class_losses import holm, mcnemar_loss
from pipeline_lib.share_interval import wilson
from pipeline_lib.slices.columns import Column, Columns, Rows
from pipeline_lib.slices.stratified import Difference, difference, exact_test, strata_of

SMALLEST = 20  # test images of a group, or of a class in it, that is measured
MOST_GROUPS = 200  # of a column; more are subjects or names, and their list would say nothing
IN_ORDER = 10  # groups that are shown in the order of their values; of more the worst come first
SIGNIFICANCE = 0.05
Flags = npt.NDArray[np.bool_]
Key = tuple[str, bytes]  # what was asked, and of which images


class Finding(StrEnum):
    """What is known of a group beside the other images of its classes."""

    WORSE = "worse"
    BETTER = "better"
    NO_DIFFERENCE = "no difference shown"
    TOO_SMALL = "too small"
    ONE_WITH_CLASS = (
        "one with its classes"  # hardly another image has them: the two cannot be told apart
    )
    NEARLY_ALL = "nearly all images"  # too few others to compare with
    CANNOT_SHOW = "too few mistakes to show any"


NOT_COMPARED = (Finding.ONE_WITH_CLASS, Finding.NEARLY_ALL)


@dataclass(frozen=True)
class Share:
    """right of n, and the 95 % interval of the share, 0..1, as the evaluation has it."""

    right: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share, 0..1."""
        return self.right / self.n


@dataclass(frozen=True)
class SinceChampion:
    """The same images of classes that both models know. p_adjusted: of a loss (exact McNemar), None where untested."""

    n: int
    n_before: int
    n_now: int
    n_lost: int
    n_won: int
    p_adjusted: float | None = None

    @property
    def change(self) -> float:
        """Change of the share that is right, -1..1."""
        return (self.n_won - self.n_lost) / self.n

    @property
    def lost(self) -> bool:
        """Whether the model lost on this group beyond chance."""
        return self.p_adjusted is not None and self.p_adjusted <= SIGNIFICANCE


@dataclass(frozen=True)
class InClass:
    """A class within a group. elsewhere: the class's other images; None where there are too few."""

    label: int
    share: Share
    elsewhere: Share | None


@dataclass(frozen=True)
class Slice:
    """One group. value: of the column; None: images without one. share: None where it is too small.

    difference: from other images of the same classes. p, p_adjusted: of the exact test, None where there was none.
    """

    value: str | None
    rows: Rows
    finding: Finding
    share: Share | None = None
    difference: Difference | None = None
    p: float | None = None
    p_adjusted: float | None = None
    since: SinceChampion | None = None
    classes: tuple[InClass, ...] = ()

    @property
    def stands_out(self) -> bool:
        """Whether something of it is claimed."""
        return self.finding in (Finding.WORSE, Finding.BETTER) or bool(
            self.since and self.since.lost
        )


@dataclass(frozen=True)
class SlicedColumn:
    """A column with the groups measured and those too small. n_groups: of all; too_many: then none was measured.

    alike: the one group where all test images are in it, which is not measured either.
    """

    name: str
    title: str
    slices: tuple[Slice, ...]
    small: tuple[Slice, ...]
    n_groups: int
    too_many: bool = False
    alike: Slice | None = None

    def mirrors(self, one: Slice) -> bool:
        """Whether a group is better only in that the one other group is worse."""
        of_two = self.n_groups == 2 and not (one.since and one.since.lost)
        return of_two and one.finding == Finding.BETTER


@dataclass(frozen=True)
class Slices:
    """All columns. n_tests: in the family of Holm's correction. lost: numbers of lines in groups.csv that name no image."""

    columns: tuple[SlicedColumn, ...] = ()
    n_tests: int = 0
    lost: tuple[int, ...] = ()

    @property
    def standing_out(self) -> tuple[tuple[SlicedColumn, Slice], ...]:
        """What is claimed: groups that are worse first, then losses since the champion, then groups that are better.

        Of two groups that are one another's rest the worse is named: that the other is better says the same.
        """
        found = [
            (column, one)
            for column in self.columns
            for one in column.slices
            if one.stands_out and not column.mirrors(one)
        ]
        rank = {Finding.WORSE: 0, Finding.BETTER: 2}
        found.sort(key=lambda pair: (rank.get(pair[1].finding, 1), pair[1].p_adjusted or 0.0))
        return tuple(found)


def measure(answers: pd.DataFrame, columns: Columns) -> Slices:
    """Measure each group. answers: label (class index) and correct; with a champion champion_right and shared."""
    label_N = answers["label"].to_numpy(int)
    right_N = answers["correct"].to_numpy(bool)
    family = _Family()
    found = []
    for column in columns.found:
        sizes = {value: len(rows) for value, rows in column.groups.items()}
        large = [value for value, n in sizes.items() if n >= SMALLEST]
        too_many = len(large) > MOST_GROUPS
        slices = [
            _slice(value, column.groups[value], label_N, right_N, answers, family)
            for value in (() if too_many or len(sizes) == 1 else large)
        ]
        small = tuple(
            Slice(value, column.groups[value], Finding.TOO_SMALL)
            for value, n in sizes.items()
            if n < SMALLEST
        )
        found.append((column, slices, small, too_many))

    # Only now is it known how many tests there are.
    p_of = family.adjusted()
    done = [
        _sorted(column, [_judged(one, p_of) for one in slices], small, too_many)
        for column, slices, small, too_many in found
    ]
    return Slices(tuple(done), family.n_tests, columns.lost)


@dataclass(frozen=True)
class _Asked:
    """A group, and the tests that were made of it."""

    slice: Slice
    beside_others: Key | None
    since_champion: Key | None


class _Family:
    """The tests made, each distinct question once: of two groups that are one another's rest, one is asked."""

    def __init__(self) -> None:
        self._p: dict[Key, float] = {}

    @property
    def n_tests(self) -> int:
        return len(self._p)

    def ask(self, kind: str, of_group_N: Flags, p: float, *, both_sides: bool) -> Key:
        """Add a test, and return what it is found by."""
        mask = ~of_group_N if both_sides and of_group_N[0] else of_group_N
        key = (kind, np.packbits(mask).tobytes())
        self._p[key] = p
        return key

    def adjusted(self) -> dict[Key, float]:
        """Holm's adjusted p of every test."""
        if not self._p:
            return {}
        p = holm(np.array(list(self._p.values())))
        return dict(zip(self._p, p.tolist(), strict=True))


def _slice(
    value: str | None,
    rows: Rows,
    label_N: npt.NDArray[np.int_],
    right_N: Flags,
    answers: pd.DataFrame,
    family: _Family,
) -> _Asked:
    """A group, without what has to wait for all tests."""
    of_group_N = np.zeros(len(label_N), bool)
    of_group_N[rows] = True
    strata = strata_of(label_N, ~right_N, of_group_N)
    test = exact_test(strata)
    key = None
    finding = Finding.NO_DIFFERENCE
    others = int(strata.n0_K.sum())
    compared, beside = strata.n1_K[strata.shared_K].sum(), strata.n0_K[strata.shared_K].sum()
    if others < SMALLEST:
        finding = Finding.NEARLY_ALL
    elif min(compared, beside) < SMALLEST:
        finding = Finding.ONE_WITH_CLASS
    elif test.least_p > SIGNIFICANCE:
        finding = Finding.CANNOT_SHOW
    else:
        key = family.ask("others", of_group_N, test.p, both_sides=True)
    since, key_since = _since(answers, of_group_N, family)
    classes = tuple(
        InClass(k, _class_share(strata.n1_K, strata.wrong1_K, k), elsewhere)
        for k in np.flatnonzero(strata.n1_K >= SMALLEST).tolist()
        for elsewhere in [
            _class_share(strata.n0_K, strata.wrong0_K, k) if strata.n0_K[k] >= SMALLEST else None
        ]
    )
    one = Slice(
        value,
        rows,
        finding,
        share=share(int(right_N[rows].sum()), len(rows)),
        difference=None if finding in NOT_COMPARED else difference(strata),
        p=test.p if key else None,
        since=since,
        classes=classes,
    )
    return _Asked(one, key, key_since)


def share(right: int, n: int) -> Share:
    """A share with its interval. n: 1 or more."""
    interval = wilson(right, n)
    return Share(right, n, interval.low, interval.high)


def _class_share(n_K: npt.NDArray[np.int64], wrong_K: npt.NDArray[np.int64], k: int) -> Share:
    return share(int(n_K[k] - wrong_K[k]), int(n_K[k]))


def _since(
    answers: pd.DataFrame, of_group_N: Flags, family: _Family
) -> tuple[SinceChampion | None, Key | None]:
    """What became of the group since the champion; no test where even losing every disputed image would not show."""
    if "champion_right" not in answers:
        return None, None
    both_N = of_group_N & answers["shared"].to_numpy(bool)
    n = int(both_N.sum())
    if n < SMALLEST:
        return None, None
    before_N = answers["champion_right"].to_numpy(bool) & both_N
    now_N = answers["correct"].to_numpy(bool) & both_N
    n_lost, n_won = int((before_N & ~now_N).sum()), int((now_N & ~before_N).sum())
    since = SinceChampion(n, int(before_N.sum()), int(now_N.sum()), n_lost, n_won)
    if 0.5 ** (n_lost + n_won) > SIGNIFICANCE:
        return since, None
    p = float(mcnemar_loss(n_lost, n_won))
    return since, family.ask("champion", both_N, p, both_sides=False)


def _judged(asked: _Asked, p_of: Mapping[Key, float]) -> Slice:
    """The group with its adjusted p values, and what they claim."""
    one = asked.slice
    if one.since and asked.since_champion:
        one = replace(one, since=replace(one.since, p_adjusted=p_of[asked.since_champion]))
    if asked.beside_others is None or one.difference is None:
        return one
    p = p_of[asked.beside_others]
    if p > SIGNIFICANCE:
        return replace(one, p_adjusted=p)
    finding = Finding.WORSE if one.difference.value < 0 else Finding.BETTER
    return replace(one, p_adjusted=p, finding=finding)


def _sorted(
    column: Column, judged: Sequence[Slice], small: tuple[Slice, ...], too_many: bool
) -> SlicedColumn:
    ordered = list(judged)
    if len(judged) > IN_ORDER:
        ordered.sort(key=lambda one: one.difference.value if one.difference else 1.0)
    alike = None
    if len(column.groups) == 1:
        ((value, rows),) = column.groups.items()
        alike = Slice(value, rows, Finding.NEARLY_ALL)
        small = ()
    small = tuple(sorted(small, key=lambda one: -len(one.rows)))
    return SlicedColumn(
        column.name, column.title, tuple(ordered), small, len(column.groups), too_many, alike
    )
