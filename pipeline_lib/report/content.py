"""Everything the report shows, gathered from the artifacts of the line: the pages themselves only lay it out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_lib.files.csv_cells import plain, read_frame
from pipeline_lib.lineage import Lineage
from pipeline_lib.registry import Comparison, Verdict
from pipeline_lib.report import charts, explained, galleries, pages
from pipeline_lib.report.answers import DOUBTED, join_answers, mistakes
from pipeline_lib.report.champion import Before, with_champion
from pipeline_lib.report.class_pages import ClassPage, class_pages
from pipeline_lib.report.compared_by import compared_by
from pipeline_lib.report.confidence import Confidence, confidence_of
from pipeline_lib.report.confusion import Confusion, class_page, confusion, confusion_counts
from pipeline_lib.report.drift import Drift, Previous, drift_since
from pipeline_lib.report.groups import Groups, groups_of
from pipeline_lib.report.ledger import Ledger, ledger_of
from pipeline_lib.report.severity import Severity, severity
from pipeline_lib.report.shift import Shift, read_shift
from pipeline_lib.slices.columns import Wanted
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.explanations import EXPLANATIONS
from pipeline_lib.tables.figures import read_operating_points
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.review import REVIEW

TABS = {
    pages.MISTAKES: "Mistakes",
    explained.EXPLAINED: "Explanations",
    pages.FLIPS: "Flips",
    pages.CLASSES: "Classes",
    pages.CONFIDENCE: "Confidence",
    pages.SHIFT: "Shift",
    pages.GROUPS: "Groups",
    pages.LABELS: "Labels",
    pages.DUPLICATES: "Duplicates",
    pages.LEFT_OUT: "Left out",
    pages.WORDS: "Words",
}


@dataclass(frozen=True)
class Run:
    """What is being reported on. version: None when the model was refused. libraries: name -> version.

    previous: the version whose data today's are compared with; None for the first, or when its profile is gone.
    judged_at: ISO time of the verdict, which the page tells as past. champion: what the model compared with says of the
    same images. superclasses: class id -> names of what lies above it, from the top down. slices: what test images are
    grouped by.
    """

    name: str
    version: int | None
    key: str
    verdict: Verdict
    lineage: Lineage
    libraries: Mapping[str, str]
    previous: Previous | None = None
    judged_at: str = ""
    champion: Before | None = None
    superclasses: Mapping[str, Sequence[str]] | None = None
    slices: Wanted | None = None


@dataclass(frozen=True)
class Content:
    """The first page and what all pages share. names: class id -> name. page_of: class id -> its page.

    no_doubt: what is said where no label is doubted, and why if the features know too little.
    compared_by: what curation compared images by, one clause each. severity: of mistakes, where there are superclasses.
    """

    run: Run
    test: Mapping[str, float]
    validation: Mapping[str, float]
    confidence: Confidence
    severity: Severity | None
    top1_range: charts.Range
    delta_range: charts.Range | None
    ledger: Ledger
    drift: Drift | None
    label_issues: galleries.Gallery
    no_doubt: str
    changed_by_votes: galleries.Gallery
    duplicates: tuple[galleries.DuplicateGroup, ...]
    n_duplicate_groups: int
    left_out: tuple[galleries.LeftOut, ...]
    mistakes: galleries.Gallery
    n_doubted: int
    flips: bool
    flips_unknown: str
    loss_chart: charts.Chart
    top1_chart: charts.Chart
    explained: explained.Explanations | None
    confusion: Confusion
    grouped_by: str
    classes: tuple[dict[str, Any], ...]
    annotators: tuple[dict[str, Any], ...]
    compared_by: tuple[str, ...]
    names: Mapping[str, str]
    page_of: Mapping[str, str]
    image_pages: tuple[pages.Page, ...]
    class_pages: tuple[ClassPage, ...]
    table: pd.DataFrame
    groups: Groups
    of_rule: Mapping[str, str]
    shift: Shift

    @property
    def files(self) -> frozenset[str]:
        """The names of all pages behind the first."""
        tables = {pages.CLASSES, pages.DATA, pages.DUPLICATES, pages.WORDS}
        if self.shift.sets:
            tables.add(pages.SHIFT)
        if self.run.verdict.class_changes:
            tables.add(pages.CHANGES)
        if self.explained:
            tables.add(explained.EXPLAINED)
        if self.groups.columns:
            tables.add(pages.GROUPS)
        shown = {page.file for page in self.image_pages} | {page.file for page in self.class_pages}
        return frozenset(tables | shown | {page.page for page in self.confusion.pages})

    @property
    def tabs(self) -> tuple[tuple[str, str], ...]:
        """The pages that every page leads to: file, name."""
        return tuple((file, name) for file, name in TABS.items() if file in self.files)

    def image_ids(self) -> list[str]:
        """Every image that is shown, those that matter most first; the same one may come again."""
        found = [card.image_id for card in self.mistakes.cards]
        found += [self.shift.example] if self.shift.example else []
        for gallery in (self.label_issues, self.changed_by_votes):
            found += [card.image_id for card in gallery.cards[: galleries.SHOWN]]
        for group in self.duplicates[: galleries.SHOWN_GROUPS]:
            found += [card.image_id for card in group.cards]
        found += self.explained.image_ids() if self.explained else []
        found += list(self.table["image_id"])
        sections = [one for page in self.image_pages for one in page.sections]
        sections += self.groups.sections
        sections += [one for page in self.class_pages for one in page.sections]
        for section in sections:
            found += [card.image_id for card in section.gallery.cards]
        for group in self.duplicates:
            found += [card.image_id for card in group.cards]
        return found


def gather(run: Run, files: Mapping[str, Path]) -> Content:
    """Read the artifacts (role -> path) and choose what is shown."""
    manifest = MANIFEST.read(files["manifest"])
    review = REVIEW.read(files["review"])
    predictions = PREDICTIONS.read(files["predictions"])
    classes = read_classes(files["classes"])
    names = dict(zip(classes["class_id"], classes["name"], strict=True))
    answers = with_champion(
        join_answers(predictions, manifest, review, classes), run.champion, names
    )

    # The galleries of the data, and the pages of the answers.
    issues = galleries.label_issues(review, manifest.set_index("image_id"), names)
    changed = galleries.changed_by_votes(manifest, names)
    groups, n_groups = galleries.duplicates(manifest, names)
    left_out = galleries.left_out(manifest, names)
    shown = [
        pages.mistakes_page(answers),
        pages.beyond_five_page(answers),
        pages.confidence_page(answers),
    ]
    no_doubt = _no_doubt(files["curation"])
    shown += [pages.labels_page(issues, changed, no_doubt=no_doubt), pages.left_out_page(left_out)]
    has_flips = "champion" in answers
    if run.champion and has_flips:
        shown.append(pages.flips_page(answers, run.champion.version))
    per_class = _read_per_class(files["per_class"])
    facts = {str(row["class"]): row for row in _records(per_class, "f1")}
    changes = {change.name: change for change in run.verdict.class_changes}

    metrics = json.loads(files["metrics"].read_text(encoding="utf-8"))
    test = metrics["test"]
    counts_KK = confusion_counts(
        answers["label"].to_numpy(), answers["predicted"].to_numpy(), len(classes)
    )
    above = run.superclasses or {}
    ancestry = {k: above.get(class_id, ()) for k, class_id in enumerate(classes["class_id"])}
    curves = pd.read_csv(files["curves"])
    percent = curves.assign(percent=100 * curves["val_top1"])
    table = mistakes(answers)
    return Content(
        run=run,
        test=test,
        validation=json.loads(files["validation"].read_text(encoding="utf-8")),
        confidence=confidence_of(metrics, files),
        severity=severity(answers["label"].to_numpy(), answers["predicted"].to_numpy(), ancestry),
        top1_range=_top1_range(test),
        delta_range=_delta_range(run.verdict.comparison) if run.verdict.comparison else None,
        ledger=ledger_of(manifest, read_frame(files["balance"], ("class_id",))),
        drift=drift_since(run.previous, files["profile"]) if run.previous else None,
        label_issues=issues,
        no_doubt=no_doubt,
        changed_by_votes=changed,
        duplicates=groups,
        n_duplicate_groups=n_groups,
        left_out=left_out,
        mistakes=pages.gallery_of(answers[~answers["correct"]], galleries.SHOWN),
        n_doubted=int((table["label"] == DOUBTED).sum()),
        flips=has_flips,
        flips_unknown=run.champion.why_silent if run.champion else "",
        loss_chart=_chart(curves, {"training": "train_loss", "validation": "val_loss"}),
        top1_chart=_chart(percent, {"validation": "percent"}),
        confusion=confusion(counts_KK, list(classes["name"]), ancestry),
        grouped_by="by superclass (curation/classes.csv)"
        if any(ancestry.values())
        else "with those that they are confused with",
        classes=tuple(facts.values()),
        annotators=_records(pd.read_csv(files["annotators"], dtype={"annotator": str}), "accuracy"),
        compared_by=compared_by(json.loads(files["curation"].read_text(encoding="utf-8"))),
        names=names,
        page_of={class_id: class_page(label) for label, class_id in enumerate(classes["class_id"])},
        explained=explained.explanations(
            EXPLANATIONS.read(files["explanations"]), answers, manifest, names
        ),
        image_pages=tuple(shown),
        class_pages=class_pages(
            answers, classes, facts, changes, read_operating_points(files["operating_points"])
        ),
        table=table,
        groups=groups_of(run.slices, answers, files, names=tuple(classes["name"])),
        of_rule=pages.OF_RULE,
        shift=read_shift(files, predictions, run.verdict),
    )


def _no_doubt(file: Path) -> str:
    figures = json.loads(file.read_text(encoding="utf-8")).get("label_issues", {})
    return "No label is doubted" + (f": {why}." if (why := figures.get("unjudged")) else ".")


def _read_per_class(file: Path) -> pd.DataFrame:
    """A class may be called NA; an empty figure was not measured."""
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    figures_of = {name: pd.to_numeric(table[name]) for name in table.columns.drop("class")}
    return table.assign(**figures_of, **{"class": table["class"].map(plain)})


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


def _records(table: pd.DataFrame, by: str) -> tuple[dict[str, Any], ...]:
    """Rows as dicts, the lowest `by` first; what is not a number becomes None and comes last."""
    rows: list[dict[Any, Any]] = table.sort_values(by, kind="stable").to_dict("records")
    return tuple(
        {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in row.items()}
        for row in rows
    )
