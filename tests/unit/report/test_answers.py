"""Predictions beside what curation knows: wrong labels and wrong answers are told apart, and names stay names."""

import csv
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline_lib.curate.overrides import COLUMNS, parse_overrides
from pipeline_lib.files.csv_cells import frame_as_csv
from pipeline_lib.report.answers import MEANING, join_answers, mistakes
from pipeline_lib.sources.paths_in_source import path_in_source

FORMULA = "=HYPERLINK(1)"
CLASSES = pd.DataFrame({"class_id": ["cat", FORMULA, "n03"], "name": ["cat", FORMULA, "crane"]})


def table(**changes: Any) -> pd.DataFrame:
    """Mistakes on images a, b, c, d of class cat taken for crane; changes: columns of the manifest."""
    ids = ["s/a.jpg", "s/b.jpg", "s/c.jpg", "s/d.jpg"]
    predictions = pd.DataFrame(
        {
            "image_id": ids,
            "split": "test",
            "label": 0,
            "predicted": [2, 2, 2, 0],
            "correct": [False, False, False, True],
            "p_label": [0.3, 0.1, 0.2, 0.9],
            "p_predicted": 0.7,
            "top_classes": [[2, 0]] * 4,
        }
    )
    known = {
        "sha256": list("1234"),
        "label_source": "received",
        "label_issue": "none",
        "label_suggested": None,
        "p_suggested": None,
        "decided_by": "rule",
    }
    manifest = pd.DataFrame({"image_id": ids, "source": "s", **known, **changes})
    review = pd.DataFrame({"kind": ["label_issue", "quality"], "image_id": ["s/a.jpg", "s/b.jpg"]})
    return mistakes(join_answers(predictions, manifest, review, CLASSES))


def test_the_table_holds_the_wrong_answers_with_the_least_probability_for_the_truth_first() -> None:
    found = table()

    assert list(found.columns) == list(MEANING)
    assert list(found["path"]) == ["b.jpg", "c.jpg", "a.jpg"]
    assert set(found["true_name"]) == {"cat"} and set(found["predicted_name"]) == {"crane"}
    assert set(found["label"]) == {"not doubted"} and set(found["override"]) == {""}


def test_a_doubted_label_is_told_from_one_that_a_person_settled_and_brings_its_override() -> None:
    doubted = {"label_issue": ["review", "review", "none", "none"]}
    kept = {"decided_by": ["rule", "override", "rule", "rule"]}

    found = table(**doubted, **kept, label_suggested="n03", p_suggested=0.8).set_index("path")

    assert found.loc["a.jpg", "label"] == "doubted"  # asked in the review
    assert found.loc["b.jpg", "label"] == "confirmed by a person"  # doubted, and no longer asked
    assert found.loc["c.jpg", "label"] == "not doubted"
    assert found.loc["c.jpg", "suggested_name"] == "crane"  # a weak suspicion is told, not acted on
    assert found.loc["a.jpg", "override"] == "sha256,1,relabel,n03,cat,,,"
    assert list(found["override"] != "") == [False, False, True]


def test_a_doubted_label_that_is_not_among_the_first_questions_is_still_doubted() -> None:
    found = table(label_issue="review", label_suggested="n03", p_suggested=0.8).set_index("path")

    assert found.loc["c.jpg", "label"] == "doubted"  # curate.label_questions: asked another time


@pytest.mark.parametrize("name", [FORMULA, 'a,"b"', "@x", "-1", "'=1"])
def test_the_line_for_overrides_is_read_as_it_was_meant_and_runs_in_no_spreadsheet(
    name: str,
) -> None:
    found = table(
        label_issue="review", label_suggested=name, p_suggested=0.8, sha256=["1", "1", "3", "4"]
    )
    line = str(found.set_index("path").loc["a.jpg", "override"])

    text = f"{','.join(COLUMNS)}\n{line}\n"
    (override,) = parse_overrides(text, Path("overrides.csv"))

    assert (override.action, override.value, override.expected_old) == ("relabel", name, "cat")
    assert (override.key_type, override.key) == (
        "image_id",
        "s/a.jpg",
    )  # other files have its bytes
    assert not any(cell.startswith(("=", "@", "-", "+")) for cell in next(csv.reader([line])))


def test_no_cell_of_the_csv_runs_in_a_spreadsheet() -> None:
    text = frame_as_csv(table(label_suggested=FORMULA, p_suggested=0.9, sha256=list("=@-+")))

    cells = [cell for line in csv.reader(io.StringIO(text)) for cell in line]

    assert f"'{FORMULA}" in cells
    assert not any(cell.startswith(("=", "@", "-", "+", "\t", "\r")) for cell in cells)


def test_a_path_is_the_sources_own_spelling() -> None:
    assert path_in_source("s/50%25%23/a%0Ab.jpg", "s") == "50%#/a\nb.jpg"
    assert path_in_source("s/%FF.jpg", "s") == "%FF.jpg"
