"""What evaluate says of corrupted images and of extra test sets."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from pipeline_lib.evaluate.params import EvaluateParams
from pipeline_lib.evaluate.shift import shifted_images
from pipeline_lib.evaluate.shift_figures import difference, shift_figures, summary
from pipeline_lib.shift.names import KINDS, STRENGTHS, corrupted_set, in_words
from pipeline_lib.tables.extra_tests import EXTRA_TESTS
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.tables.shifted import SHIFTED
from testing.small_line import SmallLine


def test_every_test_image_is_answered_in_each_kind_and_strength_and_every_extra_image_once(
    small_line: SmallLine, evaluated: Path
) -> None:
    found = SHIFTED.read(evaluated / "shifted.parquet")
    test = SELECTION.read(small_line.folder / "selection/test.parquet")
    extra = EXTRA_TESTS.read(small_line.folder / "selection/extra.parquet")

    sets = {name: set(rows["image_id"]) for name, rows in found.groupby("test_set")}
    corrupted = {corrupted_set(kind, strength) for kind in KINDS for strength in STRENGTHS}
    assert all(sets.pop(name) == set(test["image_id"]) for name in corrupted)
    assert sets == {
        f"extra/{name}": set(rows["image_id"]) for name, rows in extra.groupby("test_set")
    }


def test_any_acceptable_class_is_right_and_a_restricted_set_is_answered_with_its_own_classes(
    small_line: SmallLine, evaluated: Path
) -> None:
    found = SHIFTED.read(evaluated / "shifted.parquet").set_index(["test_set", "image_id"])
    extra = EXTRA_TESTS.read(small_line.folder / "selection/extra.parquet")

    for row in extra.to_dict("records"):
        answer = found.loc["extra/" + row["test_set"], row["image_id"]]
        assert answer["correct"] == (answer["predicted"] in row["labels"])
        assert answer["label"] == row["labels"][0]
        assert answer["predicted"] < 2 or not row["restricted"]


def test_the_figures_are_those_of_the_answers(small_line: SmallLine, evaluated: Path) -> None:
    shifted = SHIFTED.read(evaluated / "shifted.parquet")
    test = PREDICTIONS.read(evaluated / "predictions.parquet").query("split == 'test'")
    figures = pd.read_csv(evaluated / "shift.csv").set_index("test_set")
    metrics = json.loads((evaluated / "metrics.json").read_text())

    right = shifted.groupby("test_set")["correct"].mean().astype(float)
    found = figures.loc[right.index]
    pd.testing.assert_series_equal(found["top1"], right, check_names=False, check_index_type=False)
    narrow = test[test["label"] < 2]["correct"].mean()
    plain = pd.Series(test["correct"].mean(), right.index)
    plain["extra/narrow"] = metrics["extra"]["narrow"]["plain_top1"]
    assert plain["extra/narrow"] >= narrow  # chosen among two of the three classes, as in the set
    pd.testing.assert_series_equal(
        found["drop"], plain - right, check_names=False, check_index_type=False
    )
    blur = figures["top1"].loc[[corrupted_set("blur", strength) for strength in STRENGTHS]].mean()
    assert figures.loc["corrupted/blur", "top1"] == pytest.approx(blur)
    assert metrics["shift"]["corrupted_blur_top1"] == pytest.approx(blur)
    assert metrics["shift"]["corrupted_n"] == 40
    assert "corrupted_blur_1_top1" not in metrics["shift"]
    for name, of_set in metrics["extra"].items():
        row = figures.loc[f"extra/{name}"]
        assert {key: of_set[key] for key in row.index} == row.to_dict()
        assert of_set["top1"] <= of_set["top5"] <= 1
        assert 0 <= of_set["ece"] <= 1
    for low, middle, high in (("top1_low", "top1", "top1_high"), ("drop_low", "drop", "drop_high")):
        assert (figures[low] <= figures[middle]).all()
        assert (figures[middle] <= figures[high]).all()


def test_the_drop_of_corrupted_images_is_paired_and_that_of_extra_ones_is_not() -> None:
    """56 of 70 against 48 of 80 is Newcombe's example (a), method 10: 0.0524 to 0.3339."""
    ids = [f"s/{k}" for k in range(50)]
    plain = pd.DataFrame({"image_id": ids, "label": 0, "correct": [True] * 48 + [False] * 2})
    shifted = pd.DataFrame(
        {
            "test_set": "corrupted/fog/1",
            "image_id": ids,
            "correct": [False] * 10 + [True] * 39 + [False],
        }
    )

    row = shift_figures(shifted, plain, {}).set_index("test_set").loc["corrupted/fog/1"]

    assert row["drop"] == pytest.approx((10 - 1) / 50)
    assert 0 < row["drop_low"] < row["drop"] < row["drop_high"]
    change, limits = difference(56, 70, 48, 80)
    assert change == pytest.approx(0.2)
    assert (limits.low, limits.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_nothing_corrupted_and_no_extra_set_leave_empty_tables() -> None:
    test = pd.DataFrame({"image_id": ["a", "b"], "label": [0, 1]})

    images = shifted_images(test, EXTRA_TESTS.empty(), EvaluateParams(corruptions=()))
    figures = shift_figures(SHIFTED.empty(), test.assign(correct=True), {})

    assert images.rows.empty
    assert figures.empty
    assert summary(figures) == {}


def test_equally_many_images_of_each_class_are_corrupted() -> None:
    test = pd.DataFrame(
        {"image_id": [f"i{k}" for k in range(60)], "label": [k > 9 for k in range(60)]}
    )

    rows = shifted_images(test, EXTRA_TESTS.empty(), EvaluateParams(corrupted_images=12)).rows

    assert rows.groupby(["test_set", "label"]).size().unique().tolist() == [6]


def test_a_kind_that_does_not_exist_or_comes_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="'noise', 'blur', 'jpeg'"):
        EvaluateParams(corruptions=("rain",))
    with pytest.raises(ValidationError, match="a kind is named twice; name each once"):
        EvaluateParams(corruptions=("fog", "fog"))


def test_test_sets_have_names_for_people() -> None:
    assert in_words("corrupted/blur/2") == "blurred images, strength 2"
    assert in_words("corrupted/blur") == "blurred images"
    assert in_words("extra/phone") == "the extra test set phone"
