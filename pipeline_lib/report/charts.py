"""Geometry of the charts, in SVG user units; the template draws it, so that text is escaped in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CHART_WIDTH, CHART_HEIGHT = 520, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 28
NEAR_THE_END, LABEL_WIDTH = 8, 24  # percent of a range's length


@dataclass(frozen=True)
class Tick:
    """A mark on an axis. anchor: which end of the label is at the mark."""

    at: float
    label: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Curve:
    """One curve. points: `x,y x,y ...` for a polyline; end_x, end_y: its last point."""

    name: str
    points: str
    end_x: float
    end_y: float


@dataclass(frozen=True)
class Chart:
    """A line chart with its axes."""

    lines: tuple[Curve, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: int = CHART_WIDTH
    height: int = CHART_HEIGHT
    left: int = LEFT
    right: int = CHART_WIDTH - RIGHT
    bottom: int = CHART_HEIGHT - BOTTOM


@dataclass(frozen=True)
class Range:
    """A value with its interval on a scale, in percent of the scale's length. marks: labelled places on it."""

    low: float
    value: float
    high: float
    marks: tuple[Tick, ...]


def line_chart(x: Sequence[float], curves: Mapping[str, Sequence[float]]) -> Chart:
    """Curves over the same x; missing values leave a gap at the ends only."""
    finite = [value for values in curves.values() for value in values if math.isfinite(value)]
    first, last = min(x), max(x)

    # The y axis ends at round numbers, the x axis at the first and the last value.
    y_marks = nice_ticks(min(finite), max(finite))
    low = min(y_marks[0], *finite)
    high = max(y_marks[-1], *finite)
    x_marks = nice_ticks(first, last, about=5)
    x_marks = [mark for mark in x_marks if first <= mark <= last and mark == round(mark)]

    def across(a: float) -> float:
        share = (a - first) / ((last - first) or 1)
        return LEFT + share * (CHART_WIDTH - LEFT - RIGHT)

    def down(b: float) -> float:
        share = (b - low) / ((high - low) or 1)
        return CHART_HEIGHT - BOTTOM - share * (CHART_HEIGHT - TOP - BOTTOM)

    drawn = []
    for name, values in curves.items():
        placed = [(across(a), down(b)) for a, b in zip(x, values, strict=True) if math.isfinite(b)]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in placed)
        end_x, end_y = placed[-1]
        drawn.append(Curve(name, points, end_x, end_y))
    return Chart(
        lines=tuple(drawn),
        x_ticks=tuple(Tick(across(mark), f"{mark:.0f}") for mark in x_marks),
        y_ticks=tuple(Tick(down(mark), f"{mark:.4g}") for mark in y_marks),
    )


def nice_ticks(low: float, high: float, *, about: int = 4) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from below `low` to `high`."""
    span = (high - low) or abs(high) or 1.0
    power = 10 ** math.floor(math.log10(span / about))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * about >= span)
    first = math.floor(low / step)
    last = math.ceil(high / step)
    return [round(number * step, 10) for number in range(first, last + 1)]


def interval(
    low: float, value: float, high: float, *, scale: tuple[float, float], marks: Mapping[float, str]
) -> Range:
    """Place a value, its interval and marks on a scale."""

    start, end = scale

    def percent(place: float) -> float:
        share = (place - start) / (end - start)
        return 100 * min(max(share, 0.0), 1.0)

    places = {percent(at): label for at, label in sorted(marks.items())}
    ordered = list(places)
    placed = tuple(
        Tick(at, places[at], _anchor(at, before, after))
        for before, at, after in zip(
            [-math.inf, *ordered], ordered, [*ordered[1:], math.inf], strict=False
        )
    )
    return Range(percent(low), percent(value), percent(high), placed)


def _anchor(at: float, before: float, after: float) -> str:
    """Labels stay on the scale, and those of neighbours go apart."""
    if at < NEAR_THE_END or at - before < LABEL_WIDTH:
        return "start"
    if at > 100 - NEAR_THE_END or after - at < LABEL_WIDTH:
        return "end"
    return "middle"
