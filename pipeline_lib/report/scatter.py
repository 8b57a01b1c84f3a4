"""Geometry of charts of shares against shares: points with intervals, in SVG user units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline_lib.report.charts import Tick

WIDTH = 420
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 14, 42
STARTS = (0.99, 0.98, 0.95, 0.9, 0.8, 0.5, 0.0)  # of an axis that ends at 1
STEPS = {0.99: 0.002, 0.98: 0.005, 0.95: 0.01, 0.9: 0.02, 0.8: 0.05, 0.5: 0.1, 0.0: 0.2}


@dataclass(frozen=True)
class Share:
    """One point: shares 0..1 with the interval of y."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Dot:
    """Where a point and the ends of its interval are drawn."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """One curve. line: `x,y x,y ...` for a polyline; band: the same for the polygon around its intervals."""

    name: str
    line: str
    band: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Scatter:
    """Curves over two axes that both end at 100 %. diagonal: its ends x1, y1, x2, y2, where x equals y."""

    series: tuple[Series, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    diagonal: tuple[float, float, float, float]
    height: int
    width: int = WIDTH
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP

    @property
    def bottom(self) -> int:
        """The y of the lower axis."""
        return self.height - BOTTOM


def scatter(
    curves: Mapping[str, Sequence[Share]], *, x_start: float, y_start: float, height: int
) -> Scatter:
    """Place the curves on axes from these starts to 1. What lies below an axis is drawn on it."""
    bottom = height - BOTTOM

    def across(x: float) -> float:
        share = (max(x, x_start) - x_start) / (1 - x_start)
        return round(LEFT + share * (WIDTH - RIGHT - LEFT), 1)

    def down(y: float) -> float:
        share = (max(y, y_start) - y_start) / (1 - y_start)
        return round(bottom - share * (bottom - TOP), 1)

    drawn = []
    for name, points in curves.items():
        dots = tuple(Dot(across(p.x), down(p.y), down(p.low), down(p.high)) for p in points)
        upper = [(dot.x, dot.high) for dot in dots]
        lower = [(dot.x, dot.low) for dot in reversed(dots)]
        line = _joined([(dot.x, dot.y) for dot in dots])
        drawn.append(Series(name, line, _joined(upper + lower), dots))
    both = max(x_start, y_start)
    return Scatter(
        series=tuple(drawn),
        x_ticks=tuple(Tick(across(at), _percent(at)) for at in _marks(x_start)),
        y_ticks=tuple(Tick(down(at), _percent(at)) for at in _marks(y_start)),
        diagonal=(across(both), down(both), across(1), down(1)),
        height=height,
    )


def start_of(values: Sequence[float]) -> float:
    """Where an axis begins that ends at 1 and shows these shares."""
    return next(start for start in STARTS if start <= min(values, default=0.0) or start == 0)


def _marks(start: float) -> list[float]:
    step = STEPS[start]
    n_steps = round((1 - start) / step)
    return [round(start + number * step, 6) for number in range(n_steps + 1)]


def _percent(share: float) -> str:
    return f"{100 * share:.4g}"


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
