"""The page about confidence: what its charts place where, and what it says of promises and of a harmful temperature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.report.confidence import AFTER, BEFORE, confidence_of
from pipeline_lib.report.scatter import Share, scatter, start_of
from testing.tiny_figures import write_figures
from tests.unit.report.test_pages import report  # noqa: F401 - a fixture


def figures(folder: Path, **changes: float) -> tuple[dict[str, Any], dict[str, Path]]:
    roles = ("metrics", "reliability", "reliability_uncalibrated", "selective", "per_class")
    files = {role: folder / role for role in (*roles, "operating_points")}
    write_figures(files.__getitem__, top1=0.9, n=60, names=("a", "b", "c"))
    metrics = json.loads(files["metrics"].read_text())
    metrics["test"] |= changes
    return metrics, files


def test_a_figure_that_calibration_made_worse_is_named(tmp_path: Path) -> None:
    metrics, files = figures(tmp_path, nll=0.3, nll_uncalibrated=0.2)

    found = confidence_of(metrics, files)

    assert found.worse == ("log loss",)
    assert [(one.name, one.before, one.after) for one in found.measures][2] == (
        "log loss",
        0.2,
        0.3,
    )


def test_a_promise_that_validation_never_reached_has_no_threshold(tmp_path: Path) -> None:
    kept, unreached = confidence_of(*figures(tmp_path)).promises

    assert (kept.promised, kept.threshold, kept.coverage, kept.accuracy) == (0.95, 0.875, 0.7, 0.9)
    assert (unreached.promised, unreached.threshold, unreached.accuracy) == (0.99, None, None)


def test_both_curves_of_reliability_are_on_axes_of_one_scale(tmp_path: Path) -> None:
    chart = confidence_of(*figures(tmp_path)).reliability

    assert [one.name for one in chart.series] == [BEFORE, AFTER]
    assert [one.label for one in chart.x_ticks] == [one.label for one in chart.y_ticks]
    x1, y1, x2, y2 = chart.diagonal
    assert (x1, y1, x2, y2) == (chart.left, chart.bottom, chart.right, chart.top)


def test_a_point_is_placed_by_its_shares_and_stays_within_the_axes() -> None:
    points = {"a": [Share(0.5, 1.0, 0.75, 1.0), Share(0.75, 0.25, 0.1, 0.4)]}

    chart = scatter(points, x_start=0.5, y_start=0.5, height=300)

    first, second = chart.series[0].dots
    assert (first.x, first.y, first.low) == (chart.left, chart.top, (chart.top + chart.bottom) / 2)
    assert second.y == second.low == second.high == chart.bottom
    assert chart.series[0].line == f"{first.x:g},{first.y:g} {second.x:g},{second.y:g}"


@pytest.mark.parametrize(("lowest", "start"), [(0.995, 0.99), (0.93, 0.9), (0.51, 0.5), (0.2, 0.0)])
def test_an_axis_begins_at_a_round_share_below_what_it_shows(lowest: float, start: float) -> None:
    assert start_of([lowest, 1.0]) == start


def test_the_pages_say_what_is_promised_and_what_is_out_of_reach(report: Path) -> None:  # noqa: F811
    confidence = (report / "pages/confidence.html").read_text(encoding="utf-8")
    one_class = (report / "pages/class-0.html").read_text(encoding="utf-8")
    classes = (report / "pages/classes.html").read_text(encoding="utf-8")

    assert "87.50 % sure" in confidence and "not reachable on validation" in confidence
    assert "the model was too sure of itself, and says less now" in confidence
    assert "validation images there" in one_class
    assert "62.50 %" in one_class and "not reachable on validation" in one_class
    assert "balanced accuracy" in classes and "How far off" not in classes
