"""The demo's planted faults at default settings, beyond what its targets count (demo/targets.py, test_demo.py)."""

from __future__ import annotations

from collections import defaultdict

import pytest

from demo.finished_line import curate_without_votes, read_manifest
from demo.grades import SOURCE, Rows
from demo.plant_list import PlantList, read_plants
from testing.checkout import Checkout


@pytest.fixture(scope="module")
def plants(finished: Checkout) -> PlantList:
    return read_plants(finished.folder / "demo/out/plants.json")


@pytest.fixture(scope="module")
def without_votes(finished: Checkout) -> Rows:
    return curate_without_votes(finished.folder)


@pytest.mark.parametrize("kind", ["duplicate_bytes", "duplicate_pixels", "duplicate_near"])
def test_of_planted_copies_one_stays(plants: PlantList, without_votes: Rows, kind: str) -> None:
    for plant in plants.of_kind(kind):
        both = [
            without_votes[f"{SOURCE}/{member}"]["decision"] for member in (plant.member, plant.of)
        ]
        assert both.count("keep") == 1, plant


@pytest.mark.parametrize("alike", ["dup_group", "subject"])
def test_nothing_alike_stands_in_training_and_evaluation(finished: Checkout, alike: str) -> None:
    splits = defaultdict(set)
    for row in read_manifest(finished.folder).values():
        if row["decision"] == "keep" and row[alike] is not None:
            splits[row[alike]].add(row["split"])

    assert splits and {len(found) for found in splits.values()} == {1}


def test_hardly_any_unplanted_image_is_lost_without_votes(
    plants: PlantList, without_votes: Rows
) -> None:
    unplanted = [name for name in plants.true_labels if name not in plants.involved()]

    lost = [name for name in unplanted if without_votes[f"{SOURCE}/{name}"]["decision"] != "keep"]

    assert len(lost) <= 0.01 * len(unplanted)


def test_no_model_takes_an_image_out_of_evaluation(without_votes: Rows) -> None:
    left_out = [row for row in without_votes.values() if row["reason"] == "label_issue"]

    evaluated = [row for row in without_votes.values() if row["split"] in ("val", "test")]

    assert len(left_out) > 30
    assert all(row["label_issue"] != "auto" for row in evaluated)
