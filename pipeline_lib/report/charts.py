"""Geometry of the charts, in SVG user units; the template draws it, so that text is escaped in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CHART_WIDTH, CHART_HEIGHT = 520, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 28
MATRIX_SIDE = 560


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


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


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix. strength: 0..1, the share of its row; right: on the diagonal."""

    x: float
    y: float
    count: int
    strength: float
    right: bool
    title: str


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix as a heat map. cell: side of a cell; labels: by row and column."""

    cells: tuple[Cell, ...]
    labels: tuple[str, ...]
    cell: float
    side: float = MATRIX_SIDE


def line_chart(x: Sequence[float], curves: Mapping[str, Sequence[float]]) -> Chart:
    """Curves over the same x; missing values leave a gap at the ends only."""
    finite = [value for values in curves.values() for value in values if math.isfinite(value)]
    y_marks = nice_ticks(min(finite), max(finite))
    low, high = min(y_marks[0], *finite), max(y_marks[-1], *finite)
    first, last = min(x), max(x)

    def place(a: float, b: float) -> tuple[float, float]:
        across = (a - first) / ((last - first) or 1)
        up = (b - low) / ((high - low) or 1)
        return LEFT + across * (CHART_WIDTH - LEFT - RIGHT), CHART_HEIGHT - BOTTOM - up * (CHART_HEIGHT - TOP - BOTTOM)

    lines = []
    for name, values in curves.items():
        placed = [place(a, b) for a, b in zip(x, values, strict=True) if math.isfinite(b)]
        lines.append(Curve(name, " ".join(f"{a:.1f},{b:.1f}" for a, b in placed), *placed[-1]))
    x_marks = [mark for mark in nice_ticks(first, last, about=5) if first <= mark <= last and mark == round(mark)]
    return Chart(
        tuple(lines),
        tuple(Tick(place(mark, low)[0], f"{mark:.0f}") for mark in x_marks),
        tuple(Tick(place(first, mark)[1], f"{mark:.4g}") for mark in y_marks),
    )


def nice_ticks(low: float, high: float, *, about: int = 4) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from below `low` to `high`."""
    span = (high - low) or abs(high) or 1.0
    power = 10 ** math.floor(math.log10(span / about))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * about >= span)
    first = math.floor(low / step)
    return [round((first + k) * step, 10) for k in range(math.ceil(high / step) - first + 1)]


def interval(low: float, value: float, high: float, *, scale: tuple[float, float], marks: Mapping[float, str]) -> Range:
    """Place a value, its interval and marks on a scale."""

    def percent(place: float) -> float:
        return 100 * min(max((place - scale[0]) / (scale[1] - scale[0]), 0.0), 1.0)

    placed = tuple(Tick(percent(at), label) for at, label in marks.items())
    return Range(percent(low), percent(value), percent(high), placed)


def matrix(counts_KK: npt.NDArray[np.int64], names: Sequence[str]) -> Matrix:
    """A heat map of counts, rows the true classes."""
    side = MATRIX_SIDE / len(names)
    total_K = counts_KK.sum(axis=1)
    cells = []
    for i, j in np.ndindex(counts_KK.shape):
        count = int(counts_KK[i, j])
        if count:
            title = f"{names[i]} taken for {names[j]}: {count} of {total_K[i]}"
            cells.append(Cell(j * side, i * side, count, count / float(total_K[i]), bool(i == j), title))
    return Matrix(tuple(cells), tuple(names), side)
