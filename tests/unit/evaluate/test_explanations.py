"""Which answers are explained, and what explanations.parquet says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline_lib.evaluate.explanations import CHECKED, NEAREST, choose
from pipeline_lib.evaluate.run import run
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.class_map import class_map
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.model_file import read_model_file
from pipeline_lib.networks.saved_weights import load_weights
from pipeline_lib.pixels import PixelRules, centre_square, decode
from pipeline_lib.tables.explanations import EXPLANATIONS
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.selection import SELECTION
from testing.small_line import SmallLine


def answers(n_wrong: int, n_right: int) -> pd.DataFrame:
    """Test images of three classes; the later a mistake, the surer the model."""
    n = n_wrong + n_right
    return pd.DataFrame(
        {
            "image_id": [f"src/{i:03}.png" for i in range(n)],
            "label": np.arange(n) % 3,
            "predicted": np.arange(n) % 3,
            "correct": np.arange(n) >= n_wrong,
            "p_predicted": np.linspace(0.3, 0.9, n),
        }
    )


@pytest.mark.parametrize(
    ("n_wrong", "n_right", "n", "expected_wrong", "expected_right"),
    [
        (50, 50, 24, 16, 8),
        (2, 50, 24, 2, 22),
        (50, 3, 24, 21, 3),
        (4, 3, 24, 4, 3),
        (5, 5, 0, 0, 0),
    ],
)
def test_two_of_three_are_mistakes_where_there_are_so_many(
    n_wrong: int, n_right: int, n: int, expected_wrong: int, expected_right: int
) -> None:
    chosen = choose(answers(n_wrong, n_right), n)

    assert (~chosen["correct"]).sum() == expected_wrong
    assert chosen["correct"].sum() == expected_right
    assert chosen["image_id"].is_unique


def test_the_surest_mistakes_come_first_and_right_answers_are_of_all_classes() -> None:
    chosen = choose(answers(30, 60), 9)

    assert list(chosen["image_id"][:6]) == [f"src/{i:03}.png" for i in range(29, 23, -1)]
    assert set(chosen["label"][6:]) == {0, 1, 2}


def test_of_more_classes_than_places_no_side_is_left_out() -> None:
    many = answers(0, 90).assign(label=np.arange(90))

    assert choose(many, 3)["label"].tolist() == [0, 44, 89]


def test_the_table_holds_the_maps_of_the_answer_and_of_the_label(
    small_line: SmallLine, evaluated: Path
) -> None:
    found = EXPLANATIONS.read(evaluated / "explanations.parquet").sort_values("place")
    said = PREDICTIONS.read(evaluated / "predictions.parquet").set_index("image_id")
    about = read_model_file(evaluated / "export")
    network = build_network(about.network, n_classes=3, side_px=about.side_px)
    load_weights(network, evaluated / "export")
    model = Classifier(network, mean=about.mean, std=about.std).eval()

    assert len(found) == 24
    for row in found.to_dict("records"):
        pixels_HWC = decode(small_line.file(row["image_id"]).read_bytes(), PixelRules()).pixels_HWC
        seen_HWC = centre_square(pixels_HWC, side_px=about.side_px)
        images_BCHW = model.normalised(torch.from_numpy(seen_HWC.copy())[None])
        answer = said.loc[row["image_id"]]
        oracle = class_map(model.network, images_BCHW, answer["predicted"])
        np.testing.assert_allclose(row["for_answer"], oracle.evidence_hw.ravel(), atol=1e-5)
        assert row["height"] * row["width"] == len(row["for_answer"])
        assert row["layer"] == oracle.layer
        assert (len(row["for_label"]) == 0) == answer["correct"]
    assert found["rank_correlation"].notna().sum() == CHECKED


def test_the_nearest_are_training_images_of_the_same_kind_best_first(
    small_line: SmallLine, evaluated: Path
) -> None:
    found = EXPLANATIONS.read(evaluated / "explanations.parquet")
    test = SELECTION.read(small_line.folder / "selection/test.parquet").set_index("image_id")
    train = SELECTION.read(small_line.folder / "selection/train.parquet").set_index("image_id")

    for row in found.to_dict("records"):
        assert len(row["nearest"]) == NEAREST
        assert list(row["likeness"]) == sorted(row["likeness"], reverse=True)
        # the features of small_line are alike within a class
        assert set(train.loc[list(row["nearest"]), "label"]) == {test.loc[row["image_id"], "label"]}


def test_none_are_explained_where_none_are_asked_for(
    small_line: SmallLine, trained: Path, tmp_path: Path
) -> None:
    run(small_line.evaluate(trained / "weights", tmp_path, explained_images=0))

    assert EXPLANATIONS.read(tmp_path / "explanations.parquet").empty
