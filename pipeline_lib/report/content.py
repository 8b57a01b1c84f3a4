"""Everything the report shows, gathered from the artifacts of the line: the page itself only lays it out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline_lib.files.csv_cells import plain, read_frame
from pipeline_lib.lineage import Lineage
from pipeline_lib.pixels import PixelRules
from pipeline_lib.registry import Comparison, Verdict
from pipeline_lib.report import charts, galleries
from pipeline_lib.report.drift import Drift, Previous, drift_since
from pipeline_lib.report.ledger import Ledger, ledger_of
from pipeline_lib.report.thumbnails import thumbnails
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.review import REVIEW

MATRIX_CLASSES = 30  # with more, the list of pairs is what can be read
SHOWN_PAIRS = 15


@dataclass(frozen=True)
class Run:
    """What is being reported on. version: None when the model was refused. libraries: name -> version.

    previous: the version whose data today's are compared with; None for the first, or when its profile is gone.
    judged_at: ISO time of the verdict, which the page tells as past.
    """

    name: str
    version: int | None
    key: str
    verdict: Verdict
    lineage: Lineage
    libraries: Mapping[str, str]
    previous: Previous | None = None
    judged_at: str = ""


@dataclass(frozen=True)
class Pair:
    """Images of class `actual` that were taken for `predicted`."""

    actual: str
    predicted: str
    count: int
    of: int


@dataclass(frozen=True)
class Content:
    """The whole page. images: image_id -> data URI. unjudged_labels: why labels are not doubted, else ""."""

    run: Run
    test: Mapping[str, float]
    validation: Mapping[str, float]
    top1_range: charts.Range
    delta_range: charts.Range | None
    ledger: Ledger
    drift: Drift | None
    label_issues: galleries.Gallery
    unjudged_labels: str
    changed_by_votes: galleries.Gallery
    duplicates: tuple[galleries.DuplicateGroup, ...]
    n_duplicate_groups: int
    mistakes: galleries.Gallery
    images: Mapping[str, str]
    loss_chart: charts.Chart
    top1_chart: charts.Chart
    confusion: charts.Matrix | None
    pairs: tuple[Pair, ...]
    classes: tuple[dict[str, Any], ...]
    annotators: tuple[dict[str, Any], ...]


def gather(run: Run, files: Mapping[str, Path]) -> Content:
    """Read the artifacts (role -> path) and choose what is shown."""
    manifest = MANIFEST.read(files["manifest"])
    review = REVIEW.read(files["review"])
    predictions = PREDICTIONS.read(files["predictions"])
    classes = read_classes(files["classes"])
    names: dict[int, str] = dict(zip(classes["label"], classes["name"], strict=True))

    # What is shown decides which images are read: some hundred of a million.
    issues = galleries.label_issues(review)
    changed = galleries.changed_by_votes(manifest)
    mistakes = galleries.worst_mistakes(predictions, names)
    groups, n_groups = galleries.duplicates(manifest)
    cards = [*issues.cards, *changed.cards, *mistakes.cards]
    for group in groups:
        cards += group.cards

    test = json.loads(files["metrics"].read_text(encoding="utf-8"))["test"]
    counts_KK = _confusion_counts(predictions, len(names))
    confusion = None
    if len(names) <= MATRIX_CLASSES:
        confusion = charts.matrix(counts_KK, list(names.values()))
    curves = pd.read_csv(files["curves"])
    percent = curves.assign(percent=100 * curves["val_top1"])
    return Content(
        run=run,
        test=test,
        validation=json.loads(files["validation"].read_text(encoding="utf-8")),
        top1_range=_top1_range(test),
        delta_range=_delta_range(run.verdict.comparison) if run.verdict.comparison else None,
        ledger=ledger_of(manifest, read_frame(files["balance"], ("class_id",))),
        drift=drift_since(run.previous, files["profile"]) if run.previous else None,
        label_issues=issues,
        unjudged_labels=_unjudged_labels(files["curation"]),
        changed_by_votes=changed,
        duplicates=groups,
        n_duplicate_groups=n_groups,
        mistakes=mistakes,
        images=_images(cards, files),
        loss_chart=_chart(curves, {"training": "train_loss", "validation": "val_loss"}),
        top1_chart=_chart(percent, {"validation": "percent"}),
        confusion=confusion,
        pairs=_pairs(counts_KK, names),
        classes=_records(_read_per_class(files["per_class"]), "f1"),
        annotators=_records(pd.read_csv(files["annotators"], dtype={"annotator": str}), "accuracy"),
    )


def _unjudged_labels(file: Path) -> str:
    figures = json.loads(file.read_text(encoding="utf-8")).get("label_issues", {})
    return str(figures.get("unjudged", ""))


def _read_per_class(file: Path) -> pd.DataFrame:
    """A class may be called NA; an empty figure was not measured."""
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    figures_of = {name: pd.to_numeric(table[name]) for name in table.columns.drop("class")}
    return table.assign(**figures_of, **{"class": table["class"].map(plain)})


def _images(cards: list[galleries.Card], files: Mapping[str, Path]) -> dict[str, str]:
    columns = ["image_id", "container", "offset_bytes", "size_bytes"]
    pixels = json.loads((files["betons"] / "pixels.json").read_text(encoding="utf-8"))
    rules = PixelRules.model_validate(pixels["pixel_rules"])
    members = MEMBERS.read(files["members"], columns)
    return thumbnails(
        [card.image_id for card in cards], members=members, shards=files["shards"], rules=rules
    )


def _top1_range(test: Mapping[str, float]) -> charts.Range:
    """The interval on a scale that ends at 100 % and begins where the interval still has room."""
    lengths = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    length = next(one for one in lengths if test["top1_low"] > 1 - one * 0.9 or one == 1)
    start = 1 - length
    marks = {start: f"{100 * start:.0f} %", 1.0: "100 %"}
    return charts.interval(
        test["top1_low"], test["top1"], test["top1_high"], scale=(start, 1.0), marks=marks
    )


def _delta_range(comparison: Comparison) -> charts.Range:
    reach = 1.15 * max(abs(comparison.low), abs(comparison.high), comparison.margin)
    marks = {-comparison.margin: "allowed loss", 0.0: "equal"}
    return charts.interval(
        comparison.low, comparison.delta, comparison.high, scale=(-reach, reach), marks=marks
    )


def _chart(curves: pd.DataFrame, columns: Mapping[str, str]) -> charts.Chart:
    series = {name: [float(value) for value in curves[column]] for name, column in columns.items()}
    return charts.line_chart([int(epoch) for epoch in curves["epoch"]], series)


def _confusion_counts(
    predictions: pd.DataFrame, n_classes: int
) -> np.ndarray[Any, np.dtype[np.int64]]:
    test = predictions[predictions["split"] == "test"]
    counts_KK = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(counts_KK, (test["label"].to_numpy(int), test["predicted"].to_numpy(int)), 1)
    return counts_KK


def _pairs(
    counts_KK: np.ndarray[Any, np.dtype[np.int64]], names: Mapping[int, str]
) -> tuple[Pair, ...]:
    """The most frequent confusions, most frequent first."""
    found = [(i, j) for i, j in zip(*np.nonzero(counts_KK), strict=True) if i != j]
    found.sort(key=lambda cell: (-counts_KK[cell], cell))
    pairs = []
    for i, j in found[:SHOWN_PAIRS]:
        count, of = int(counts_KK[i, j]), int(counts_KK[i].sum())
        pairs.append(Pair(names[int(i)], names[int(j)], count, of))
    return tuple(pairs)


def _records(table: pd.DataFrame, by: str) -> tuple[dict[str, Any], ...]:
    """Rows as dicts, the lowest `by` first; what is not a number becomes None and comes last."""
    rows: list[dict[Any, Any]] = table.sort_values(by, kind="stable").to_dict("records")
    return tuple(
        {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in row.items()}
        for row in rows
    )
