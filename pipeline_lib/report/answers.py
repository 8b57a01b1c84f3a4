"""What the model said of each test image, beside what curation knows of it; `mistakes` are the wrong answers.

Predictions and manifest meet here, where a report or an answer to a person is made, and never in `evaluate`: an override
must re-run no evaluation. A wrong answer has one of two causes that people act on differently. Where curation doubts the
label, the label may be what is wrong, and a line for curation/overrides.csv fixes it; else it is the model.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_lib.files.csv_cells import guarded
from pipeline_lib.sources.paths_in_source import path_in_source
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.review import REVIEW

ROLES = ("predictions", "manifest", "review", "classes")  # the artifacts that are read
DOUBTED, CONFIRMED, UNDOUBTED = "doubted", "confirmed by a person", "not doubted"
MEANING = {
    "image_id": "key of every table",
    "sha256": "of the image's bytes",
    "source": "name of the source",
    "path": "path of the image in the source",
    "true_class": "class id of the label",
    "true_name": "and its name",
    "predicted_class": "class id of the answer",
    "predicted_name": "and its name",
    "p_true": "probability the model gives to the label, 0..1",
    "p_predicted": "and to its answer, 0..1",
    "label": f"{DOUBTED}: curation's predictors contradict it; {CONFIRMED}: they do, and a person settled it; "
    f"{UNDOUBTED}",
    "suggested_class": "class id that curation's predictors prefer to the label; empty for none",
    "suggested_name": "and its name",
    "p_suggested": "and its out-of-sample probability, 0..1",
    "override": "line for curation/overrides.csv that takes the suggestion; empty unless the label is doubted",
}
KNOWN = [
    "image_id",
    "source",
    "sha256",
    "label_source",
    "label_issue",
    "label_suggested",
    "decided_by",
]
P_DIGITS = 6


def read_answers(files: Mapping[str, Path]) -> pd.DataFrame:
    """Join the artifacts named by `ROLES` (role -> path): the columns of `MEANING`, and label, predicted, correct, among_five.

    One row per test image, those with the least probability for the truth first. label, predicted: rows of classes.csv.
    """
    predictions = PREDICTIONS.read(
        files["predictions"],
        [
            "image_id",
            "split",
            "label",
            "predicted",
            "correct",
            "p_label",
            "p_predicted",
            "top_classes",
        ],
    )
    manifest = MANIFEST.read(files["manifest"], [*KNOWN, "p_suggested"])
    review = REVIEW.read(files["review"], ["kind", "image_id"])
    return join_answers(predictions, manifest, review, read_classes(files["classes"]))


def join_answers(
    predictions: pd.DataFrame, manifest: pd.DataFrame, review: pd.DataFrame, classes: pd.DataFrame
) -> pd.DataFrame:
    """The same from tables."""
    test = predictions[predictions["split"] == "test"].drop(columns="split")
    rows = test.merge(manifest, on="image_id", how="left", validate="one_to_one")
    rows = rows.sort_values(["p_label", "image_id"], kind="stable").reset_index(drop=True)
    ids = classes["class_id"].to_numpy(object)
    names = classes["name"].to_numpy(object)
    name_of = dict(zip(ids, names, strict=True))
    actual = rows["label"].to_numpy(int)
    said = rows["predicted"].to_numpy(int)

    # What curation prefers is shown where it is another class than the label.
    preferred = _texts(rows["label_suggested"])
    suggested = preferred.where(preferred != ids[actual], "")
    asked = set(review.loc[review["kind"] == "label_issue", "image_id"])
    questioned = (_texts(rows["label_issue"]) != "none") & (suggested != "")
    untouched = _texts(rows["decided_by"]) != "override"  # not asked yet: curate.label_questions
    open_question = questioned & (rows["image_id"].isin(asked) | untouched)
    confirmed = (questioned & ~open_question) | (_texts(rows["label_source"]) == "override")
    state = pd.Series(UNDOUBTED, index=rows.index).mask(confirmed, CONFIRMED)
    return pd.DataFrame(
        {
            "image_id": _texts(rows["image_id"]),
            "sha256": _texts(rows["sha256"]),
            "source": _texts(rows["source"]),
            "path": [
                path_in_source(image_id, source)
                for image_id, source in zip(rows["image_id"], rows["source"], strict=True)
            ],
            "true_class": ids[actual],
            "true_name": names[actual],
            "predicted_class": ids[said],
            "predicted_name": names[said],
            "p_true": rows["p_label"].to_numpy(float).round(P_DIGITS),
            "p_predicted": rows["p_predicted"].to_numpy(float).round(P_DIGITS),
            "label_state": state.mask(open_question, DOUBTED),
            "suggested_class": suggested,
            "suggested_name": suggested.map(lambda name: name_of.get(name, name)),
            "p_suggested": rows["p_suggested"]
            .astype("float64")
            .round(P_DIGITS)
            .where(suggested != ""),
            "shared_bytes": shared_bytes(rows["sha256"], manifest["sha256"]),
            "label": actual,
            "predicted": said,
            "correct": rows["correct"].to_numpy(bool),
            "among_five": [
                label in five
                for label, five in zip(actual.tolist(), rows["top_classes"], strict=True)
            ],
        }
    )


def mistakes(answers: pd.DataFrame) -> pd.DataFrame:
    """The wrong answers, in the columns of `MEANING`: what mistakes.csv and `perennial mistakes` show."""
    wrong = (
        answers[~answers["correct"]].drop(columns="label").rename(columns={"label_state": "label"})
    )
    rows: list[dict[Any, Any]] = wrong.to_dict("records")
    lines = [
        override_line(row, given=row["true_class"]) if row["label"] == DOUBTED else ""
        for row in rows
    ]
    table: pd.DataFrame = wrong.assign(override=lines)[list(MEANING)].reset_index(drop=True)
    return table


def override_line(row: Mapping[Any, Any], *, given: str) -> str:
    """The line of curation/overrides.csv that gives an image the suggested class; a spreadsheet runs none of its cells.

    row: image_id, sha256, suggested_class and shared_bytes. The bytes name the image, unless others have the same.
    """
    by_id = bool(row["shared_bytes"]) or not row["sha256"]
    key = ("image_id", row["image_id"]) if by_id else ("sha256", row["sha256"])
    cells = [*key, "relabel", row["suggested_class"], given, "", "", ""]
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="").writerow([guarded(str(cell)) for cell in cells])
    return written.getvalue()


def doubt_of(row: Mapping[Any, Any], names: Mapping[str, str]) -> str:
    """What curation takes an image for, in words; "" where it does not doubt the label. row: of the manifest."""
    looks_like = row["label_suggested"]
    is_doubted = row["label_issue"] != "none" and pd.notna(looks_like)
    return names.get(looks_like, looks_like) if is_doubted and looks_like != row["class_id"] else ""


def shared_bytes(sha256: pd.Series, everywhere: pd.Series) -> pd.Series:
    """Whether another file of the sources has the same bytes."""
    found = everywhere[everywhere.isin(sha256.dropna())]
    return sha256.isin(found[found.duplicated()])


def _texts(column: pd.Series) -> pd.Series:
    """Plain strings, empty where there is none."""
    return column.astype(object).where(column.notna(), "").astype("str")
