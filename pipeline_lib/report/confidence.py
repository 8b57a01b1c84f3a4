"""What the page about confidence shows: how far probabilities can be believed, and what answering only if sure gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_lib.report.scatter import Scatter, Share, scatter, start_of
from pipeline_lib.tables.figures import PROMISED, UNCALIBRATED, at_promise

BEFORE, AFTER = "before calibration", "after calibration"
SQUARE, FLAT = 400, 300  # heights of the charts
# key of metrics.json -> word page, name, factor of the figure that is shown, unit
MEASURES = {
    "ece": ("calibration", "calibration error, 15 bins of equally many images", 100, " %"),
    "ece_equal_width": ("calibration", "calibration error, 15 bins of equal width", 100, " %"),
    "nll": ("nll", "log loss", 1, ""),
    "brier": ("brier", "Brier score", 1, ""),
}


@dataclass(frozen=True)
class Measure:
    """A figure before and after the temperature; lower is better. Scaled by what is shown."""

    anchor: str
    name: str
    before: float
    after: float
    unit: str


@dataclass(frozen=True)
class Promise:
    """A threshold that validation chose for an accuracy (0..1), and what it gave on test; None: not reachable."""

    promised: float
    threshold: float | None
    coverage: float | None
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None


@dataclass(frozen=True)
class Confidence:
    """reliability: before and after calibration. bins: the points of it, after. selective: accuracy by coverage."""

    n: int
    temperature: float
    measures: tuple[Measure, ...]
    worse: tuple[str, ...]
    reliability: Scatter
    bins: tuple[dict[Any, float], ...]
    selective: Scatter
    aurc: float
    promises: tuple[Promise, ...]


def confidence_of(metrics: Mapping[str, Any], files: Mapping[str, Path]) -> Confidence:
    """Read the tables of `evaluate` (role -> path). metrics: the content of metrics.json."""
    test = metrics["test"]
    measures = tuple(
        Measure(anchor, name, factor * test[key + UNCALIBRATED], factor * test[key], unit)
        for key, (anchor, name, factor, unit) in MEASURES.items()
    )
    bins = pd.read_csv(files["reliability"])
    before = pd.read_csv(files["reliability_uncalibrated"])
    return Confidence(
        n=test["n"],
        temperature=metrics["temperature"],
        measures=measures,
        worse=tuple(one.name for one in measures if one.after > one.before),
        reliability=_reliability(before, bins),
        bins=tuple(bins.to_dict("records")),
        selective=_selective(pd.read_csv(files["selective"])),
        aurc=test["aurc"],
        promises=tuple(_promise(metrics, promised) for promised in PROMISED),
    )


def _reliability(before: pd.DataFrame, after: pd.DataFrame) -> Scatter:
    """Both curves on axes of one scale, so that the diagonal is where confidence and accuracy agree."""
    curves = {BEFORE: _shares(before, "confidence"), AFTER: _shares(after, "confidence")}
    start = start_of([min(p.x, p.y) for points in curves.values() for p in points])
    return scatter(curves, x_start=start, y_start=start, height=SQUARE)


def _selective(answered: pd.DataFrame) -> Scatter:
    """The axis begins below the accuracy of all answers: the first steps hold few images and may be anywhere."""
    points = _shares(answered, "coverage")
    start = start_of([points[-1].low])
    return scatter({"accuracy": points}, x_start=0.0, y_start=start, height=FLAT)


def _shares(table: pd.DataFrame, x: str) -> list[Share]:
    columns = [x, "accuracy", "accuracy_low", "accuracy_high"]
    return [Share(*row) for row in table[columns].to_numpy(float).tolist()]


def _promise(metrics: Mapping[str, Any], promised: float) -> Promise:
    threshold = metrics.get(at_promise("threshold", promised))
    test = metrics["test"]
    accuracy = at_promise("accuracy", promised)
    return Promise(
        promised,
        threshold,
        coverage=test.get(at_promise("coverage", promised)),
        accuracy=test.get(accuracy),
        accuracy_low=test.get(f"{accuracy}_low"),
        accuracy_high=test.get(f"{accuracy}_high"),
    )
