"""Images without a class and votes, on their way to training."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from pipeline_lib.curate.decide import Curated, curate
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.errors import DataCheckFailed
from pipeline_lib.sources.source import Source
from tests.unit.curate.made_tables import MadeImage, make_found

UNLABELLED_SOURCE = Source(name="t", uri="t", role="unlabelled")
IMAGES = [MadeImage(f"s/{label}{n}", label=label) for label in ("cat", "dog") for n in range(20)]


def _curated(
    *more: MadeImage, votes: Sequence[tuple[str, str, str]] = (), overrides: str = "", **params: Any
) -> Curated:
    return curate(
        make_found([*IMAGES, *more], votes=votes, overrides=overrides),
        CurateParams(cl_folds=2, **params),
    )


@cache
def _splits() -> dict[str, str]:
    manifest = _curated().manifest.set_index("image_id")
    return {
        split: manifest.index[manifest["split"] == split][0] for split in ("train", "val", "test")
    }


def _nameless(name: str, **facts: Any) -> MadeImage:
    """Of a source that publishes it as training, so that no hash moves it."""
    return MadeImage(f"t/{name}", label=None, split="train", source="t", **facts)


def test_by_default_training_gets_neither_images_without_a_class_nor_votes() -> None:
    curated = _curated(_nameless("new"), votes=[("s/cat1", "ana", "cat")])

    assert curated.unlabelled.empty and curated.targets.empty


def test_an_image_without_a_class_reaches_training_and_its_manifest_row_says_so() -> None:
    row = _curated(_nameless("new"), learn_unlabelled=True)

    assert row.unlabelled["image_id"].to_list() == ["t/new"]
    found = row.manifest.set_index("image_id").loc["t/new"]
    assert (found["reason"], found["flags"]) == (
        "label_missing",
        ["label_missing", "learned_unlabelled"],
    )


def test_images_of_an_unlabelled_source_wait_for_a_person_and_count_for_no_limit() -> None:
    found = make_found([*IMAGES, *(_nameless(f"new{n}") for n in range(60))])
    params = CurateParams(cl_folds=2)

    with pytest.raises(DataCheckFailed, match="60 of 100 images are quarantined"):
        curate(found, params)
    curated = curate(replace(found, sources=(UNLABELLED_SOURCE,)), params)

    assert (curated.manifest["reason"] == "label_missing").sum() == 60
    assert curated.review["image_id"].str.startswith("t/").sum() == 60


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_copy_of_an_evaluation_image_never_reaches_training_without_its_class(split: str) -> None:
    curated = _curated(_nameless("copy", looks=_splits()[split]), learn_unlabelled=True)

    assert curated.unlabelled.empty


@pytest.mark.parametrize("split", ["val", "test"])
def test_an_image_without_a_class_that_was_drawn_for_evaluation_does_not_train(split: str) -> None:
    curated = _curated(
        MadeImage("t/new", label=None, split=split, source="t"), learn_unlabelled=True
    )

    assert curated.unlabelled.empty


def test_a_subject_of_the_evaluation_does_not_train_without_a_class_either() -> None:
    mine = MadeImage("t/mine", label="cat", split="test", source="t", subject="ana")

    curated = _curated(mine, _nameless("hers", subject="ana"), learn_unlabelled=True)

    assert curated.unlabelled.empty


def test_of_copies_without_a_class_one_trains_and_none_where_a_labelled_copy_does() -> None:
    copies = [_nameless("one", looks="same"), _nameless("two", looks="same")]

    curated = _curated(*copies, _nameless("third", looks=_splits()["train"]), learn_unlabelled=True)

    assert curated.unlabelled["image_id"].to_list() == ["t/one"]


def test_images_that_train_without_a_class_do_not_stop_the_line_as_quarantined() -> None:
    many = [_nameless(f"new{n}") for n in range(30)]

    with pytest.raises(DataCheckFailed, match="30 of 70 images are quarantined"):
        _curated(*many)
    assert len(_curated(*many, learn_unlabelled=True).unlabelled) == 30


def test_votes_reach_training_as_probabilities_of_the_classes_that_are_kept() -> None:
    voted = _splits()["train"]
    votes = [(voted, "ana", "cat"), (voted, "bob", "dog"), (_splits()["test"], "ana", "cat")]

    targets = _curated(votes=votes, learn_votes=True).targets

    assert targets["image_id"].unique().tolist() == [voted]
    assert targets["class_id"].to_list() == ["cat", "dog"]
    assert targets["probability"].sum() == pytest.approx(1)


def test_where_a_person_decided_the_class_votes_do_not_soften_it() -> None:
    voted = _splits()["train"]
    line = f"image_id,{voted},relabel,dog,cat,seen,ana,2026-11-01\n"

    curated = _curated(votes=[(voted, "bob", "cat")], overrides=line, learn_votes=True)

    assert curated.targets.empty
