"""The demo's planted faults, found at default settings: the targets of the scorecard, for one seed."""

import dataclasses

import pandas as pd
import pytest

from pipeline_lib.curate.decide import curate
from pipeline_lib.curate.params import CurateParams
from tests.unit.curate.planted_digits import SOURCE, plant_digits


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant_digits(tmp_path_factory.mktemp("plant"), seed=0)


@pytest.fixture(scope="module")
def with_votes(planted):
    return judged(planted.found)


@pytest.fixture(scope="module")
def without_votes(planted):
    return judged(dataclasses.replace(planted.found, votes=planted.found.votes.iloc[:0]))


def judged(found) -> pd.DataFrame:
    manifest = curate(found, CurateParams()).manifest
    return manifest.set_index(manifest["image_id"].str.removeprefix(f"{SOURCE}/"))


def recall_and_precision(rows, plants):
    """Found: the label received is wrong, and the row was changed by votes or doubted, or its copies contradict it."""
    truth = pd.Series(plants.true_labels)
    rows = rows.loc[truth.index]
    wrong = rows["label_received"] != truth
    found = (rows["class_id"] != rows["label_received"]) | (rows["label_issue"] != "none")
    return (found & wrong).sum() / wrong.sum(), (found & wrong).sum() / found.sum()


def test_wrong_labels_are_found_with_votes(planted, with_votes):
    recall, precision = recall_and_precision(with_votes, planted.plants)

    assert recall >= 0.90
    assert precision >= 0.94


def test_wrong_labels_are_found_without_votes(planted, without_votes):
    recall, precision = recall_and_precision(without_votes, planted.plants)

    assert recall >= 0.80
    assert precision >= 0.85


@pytest.mark.parametrize("kind", ["duplicate_bytes", "duplicate_pixels", "duplicate_near"])
def test_of_planted_copies_one_stays(planted, without_votes, kind):
    for plant in planted.plants.of_kind(kind):
        assert (without_votes.loc[[plant.member, plant.of], "decision"] == "keep").sum() == 1, plant


def test_no_copy_stands_in_training_and_evaluation(with_votes):
    kept = with_votes[with_votes["decision"] == "keep"]

    assert kept.groupby("dup_group")["split"].nunique().max() == 1
    assert kept.groupby("subject")["split"].nunique().max() == 1


def test_hardly_any_unplanted_picture_is_lost(planted, without_votes):
    unplanted = [name for name in planted.plants.true_labels if name not in planted.plants.involved()]

    assert (without_votes.loc[unplanted, "decision"] != "keep").mean() <= 0.01


def test_there_are_300_test_pictures(without_votes):
    assert (without_votes["split"] == "test").sum() >= 300


def test_no_model_takes_a_picture_out_of_evaluation(without_votes):
    left_out = without_votes[without_votes["reason"] == "label_issue"]

    assert len(left_out) > 30
    assert (without_votes.loc[without_votes["split"].isin(["val", "test"]), "label_issue"] != "auto").all()
