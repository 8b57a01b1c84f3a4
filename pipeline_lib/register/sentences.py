"""What the gate says, in words that need no statistics. "Certainly": with 95 % certainty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pipeline_lib.register.class_losses import visible_class_loss
from pipeline_lib.register.paired import visible_loss
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.registry import ClassChange, Comparison, ShiftChange
from pipeline_lib.shift.names import in_words

NAMED = 5  # classes in one sentence; the report lists all


def compared(comparison: Comparison) -> str:
    """Better or worse, by how much, and what is certain."""
    on = f"version {comparison.champion_version} on the same {comparison.n_images:,} images"
    return f"{_observed(comparison, on)}, {_certain(comparison)}"


def behind_reference(comparison: Comparison, allowed: float, *, near: bool) -> str:
    """How far the new model is from the reference, and whether more than is allowed can be ruled out."""
    on = f"the reference, version {comparison.champion_version}"
    ruled = "is ruled out" if near else "cannot be ruled out"
    return f"{_observed(comparison, on)}; that it is {points(allowed)} worse {ruled}"


def reference_silent(version: int, why: str) -> str:
    """Why the champion alone was asked."""
    remedy = "`perennial promote champion --as reference --reason TEXT` pins another"
    return f"compared with the champion alone, as the reference, version {version}, cannot be asked: {why}; {remedy}"


def _observed(comparison: Comparison, on: str) -> str:
    if comparison.n_only_challenger == comparison.n_only_champion:
        return f"as often right as {on}"
    return f"{points(abs(comparison.delta))} points {'better' if comparison.delta > 0 else 'worse'} than {on}"


def _certain(comparison: Comparison) -> str:
    """The end of the interval that decides. A loss beyond doubt, a gain beyond doubt, or the most that may be lost."""
    allowed = f"{points(comparison.margin)} may be lost"
    if comparison.low > 0:
        return f"certainly at least {_rounded_down(comparison.low)}"
    if comparison.low > -comparison.margin:
        return f"certainly at most {_rounded_up(-comparison.low)}{' worse' if comparison.delta >= 0 else ''} ({allowed})"
    if comparison.high < 0:
        return f"certainly at least {_rounded_down(-comparison.high)}"
    widest = f"anything from {_rounded_up(-comparison.low)} worse to {_rounded_up(comparison.high)} better"
    return f"but {widest} fits ({allowed})"


def _rounded_down(fraction: float) -> str:
    return f"{math.floor(1000 * fraction + 1e-9) / 10:.1f}"


def _rounded_up(fraction: float) -> str:
    """In points, so that what is certain stays certain."""
    return f"{math.ceil(1000 * fraction - 1e-9) / 10:.1f}"


def fallen(changes: Sequence[ClassChange]) -> str:
    """The classes that lost, with what was right before and now."""
    named = [
        f"{one.name} falls from {one.n_champion} to {one.n_challenger} of {one.n_images} right"
        for one in changes[:NAMED]
    ]
    return f"beyond chance, {_listed(named, len(changes))}"


def lost_under_shift(changes: Sequence[ShiftChange]) -> str:
    """The shifted test sets that lost, with the accuracy before and now."""
    named = [
        f"accuracy on {in_words(one.name)} falls by {points(-one.change)} points, from {percent(one.champion_top1)} to "
        f"{percent(one.challenger_top1)} ({one.n_images:,} images{_strengths(one)})"
        for one in changes[:NAMED]
    ]
    return f"beyond chance, {_listed(named, len(changes))}"


def _strengths(change: ShiftChange) -> str:
    if not change.strengths:
        return ""
    return f", strength{'s' * (len(change.strengths) > 1)} {', '.join(map(str, change.strengths))}"


def shift_silent(why: str) -> str:
    """Why corrupted images and extra test sets were not compared."""
    return f"not compared on corrupted images and extra test sets, as the champion cannot be shown them: {why}"


def new_classes(version: int, right_and_size: Mapping[str, tuple[int, int]]) -> str:
    """Classes that the champion never saw: this model's right answers only."""
    named = [f"{name} {right} of {n} right" for name, (right, n) in right_and_size.items()]
    return f"not compared, as version {version} does not know them: {_listed(named[:NAMED], len(named))}"


def renamed(version: int, today: Mapping[str, str]) -> str:
    """Classes that have another name than when the champion was trained."""
    named = [f"{old} is {new} now" for old, new in today.items() if old != new]
    return f"renamed or merged since version {version}: {_listed(named[:NAMED], len(named))}"


def hidden(changes: Sequence[ClassChange]) -> str:
    """Classes whose loss nobody would see."""
    named = [f"{one.name} ({one.n_champion} of {one.n_images} right)" for one in changes[:NAMED]]
    return f"too small to show even that all is lost: {_listed(named, len(changes))}"


def resolution(
    comparison: Comparison, changes: Sequence[ClassChange], params: RegisterParams
) -> str:
    """What these test images can show at all."""
    n, loss = visible_class_loss(
        changes, hold_significance=params.class_hold_significance, class_loss=params.class_loss
    )
    in_class = f"from {100 * loss:.0f} points on" if loss is not None else "never"
    in_all = f"from {points(visible_loss(comparison))} points of top-1 on"
    return f"these images show a true loss (four times in five) {in_all}; in the median class, of {n} images, {in_class}"


def points(fraction: float) -> str:
    """A share in percentage points with one decimal."""
    return f"{100 * fraction:.1f}"


def percent(share: float) -> str:
    """A share as percent with one decimal, unit included."""
    return f"{100 * share:.1f} %"


def _listed(named: Sequence[str], n: int) -> str:
    return ", ".join(named) + (f" and {n - len(named)} more" if n > len(named) else "")
