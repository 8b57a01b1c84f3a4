from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pipeline_lib.curate.labels import Labels, decide_labels
from pipeline_lib.curate.overrides import ClassChanges
from pipeline_lib.curate.params import CurateParams
from tests.unit.curate.made_tables import MadeImage, make_found, make_rows

PEOPLE = ("ana", "ben", "cleo")
NO_CHANGES = ClassChanges({}, frozenset())
CATS = [MadeImage(f"s/cat{n}") for n in range(30)] + [
    MadeImage(f"s/dog{n}", label="dog") for n in range(30)
]
TRUE_VOTES = [
    (f"s/{label}{n}", who, label) for label in ("cat", "dog") for n in range(20) for who in PEOPLE
]


def labels_of(
    images: Sequence[MadeImage], votes: Sequence[tuple[str, str, str]], **params: Any
) -> Labels:
    frame = make_found(images, votes=votes).votes.astype("str")
    return decide_labels(make_rows(images), frame, NO_CHANGES, CurateParams(**params))


def test_a_label_is_replaced_when_the_votes_against_it_are_nearly_certain() -> None:
    votes = [*TRUE_VOTES, *[("s/cat25", who, "dog") for who in PEOPLE]]

    row = labels_of(CATS, votes).frame.loc["s/cat25"]

    assert (row["class_id"], row["label_source"], row["n_votes"]) == ("dog", "votes", 3)
    assert row["label_confidence"] > 0.9


def test_a_label_is_not_replaced_by_fewer_votes_than_vote_min() -> None:
    votes = [*TRUE_VOTES, ("s/cat25", "ana", "dog")]

    row = labels_of(CATS, votes, vote_min=2).frame.loc["s/cat25"]

    assert (row["class_id"], row["label_source"]) == ("cat", "received")
    assert row["undecided"]


def test_one_vote_that_agrees_leaves_no_question() -> None:
    row = labels_of(CATS, [*TRUE_VOTES, ("s/cat25", "ana", "cat")]).frame.loc["s/cat25"]

    assert not row["undecided"]


def test_votes_label_an_image_that_came_without_a_label() -> None:
    images = [*CATS, MadeImage("s/new", label=None)]

    row = labels_of(images, [*TRUE_VOTES, *[("s/new", who, "dog") for who in PEOPLE]]).frame.loc[
        "s/new"
    ]

    assert (row["class_id"], row["label_source"]) == ("dog", "votes")


def test_when_nothing_is_labelled_the_classes_are_those_voted_for() -> None:
    images = [MadeImage(f"s/{n}", label=None) for n in range(20)]
    votes = [(f"s/{n}", who, "cat" if n % 2 else "dog") for n in range(20) for who in PEOPLE]

    labels = labels_of(images, votes)

    assert labels.classes == ("cat", "dog")
    assert set(labels.frame["label_source"]) == {"votes"}


def test_votes_for_a_class_outside_the_list_or_an_unknown_image_are_counted_and_left_out() -> None:
    votes = [*TRUE_VOTES, ("s/cat25", "ana", "cow"), ("s/nobody", "ana", "cat")]

    labels = labels_of(CATS, votes)

    assert labels.statistics["for_unknown_classes"] == 1
    assert labels.statistics["of_unknown_pictures"] == 1
    assert labels.frame.loc["s/cat25", "n_votes"] == 0


def test_the_annotators_table_tells_the_good_from_the_careless() -> None:
    def said(n: int, who: str) -> str:
        return "cat" if who != "cleo" or n % 3 else "dog"

    labels = labels_of(
        CATS, [(f"s/cat{n}", who, said(n, who)) for n in range(30) for who in PEOPLE]
    )

    accuracy = labels.annotators.set_index("annotator")["accuracy"]
    assert accuracy["ana"] > 0.9
    assert accuracy["cleo"] == pytest.approx(2 / 3, abs=0.05)
    assert labels.annotators["n_votes"].to_list() == [30, 30, 30]


def test_the_received_label_counts_as_a_vote_of_its_source() -> None:
    """Two people who contradict each other are settled by the label received: it agrees with one of them."""
    votes = [*TRUE_VOTES, ("s/cat25", "ana", "cat"), ("s/cat25", "ben", "dog")]

    row = labels_of(CATS, votes).frame.loc["s/cat25"]

    assert row["voted"] == "cat"
    assert row["label_confidence"] > 0.9


def test_an_experts_vote_decides_alone_and_scores_the_others() -> None:
    """eve is the expert: of her two answers ana gave one right, so ana's share of right controls is 1/2."""
    votes = [
        *TRUE_VOTES,
        ("s/cat25", "eve", "dog"),
        ("s/cat25", "ana", "cat"),
        ("s/cat26", "eve", "cat"),
    ]
    votes += [("s/cat26", "ana", "cat")]

    labels = labels_of(CATS, votes, expert_annotators=("eve",))

    assert list(labels.frame.loc["s/cat25"][["class_id", "label_source", "votes_missing"]]) == [
        "dog",
        "votes",
        0,
    ]
    people = labels.annotators.set_index("annotator")
    assert list(people.loc["ana"][["n_controls", "control_accuracy"]]) == [2, 0.5]
    assert people.loc["ben", "n_controls"] == 0


def test_experts_who_contradict_each_other_are_annotators_like_any_other() -> None:
    votes = [*TRUE_VOTES, ("s/cat25", "eve", "dog"), ("s/cat25", "fay", "cat")]

    row = labels_of(CATS, votes, expert_annotators=("eve", "fay")).frame.loc["s/cat25"]

    assert row["class_id"] == "cat"
    assert row["label_confidence"] < 1


def test_a_guesser_weighs_nothing_and_the_careful_weigh_much() -> None:
    def said(n: int, who: str) -> str:
        return ("cat", "dog")[n % 2] if who == "dan" else "cat"

    labels = labels_of(
        CATS, [(f"s/cat{n}", who, said(n, who)) for n in range(30) for who in (*PEOPLE, "dan")]
    )

    weight = labels.annotators.set_index("annotator")["weight"]
    assert abs(weight["dan"]) < 0.2
    assert weight["ana"] > 2


def test_soft_labels_of_an_image_with_two_opinions_add_up_to_one_with_two_classes() -> None:
    votes = [*TRUE_VOTES, ("s/cat25", "ana", "dog"), ("s/cat25", "ben", "dog")]

    soft = labels_of(CATS, votes).soft.set_index(["image_id", "class_id"])["probability"]

    assert soft["s/cat25"].sum() == pytest.approx(1)
    assert soft["s/cat25", "dog"] > soft["s/cat25", "cat"]


def test_a_class_that_others_are_taken_for_needs_more_votes() -> None:
    """Ten people agree on 20 cats; three of ten see a cat in each of 20 dogs. Whoever says dog is right; of first votes
    for cat 20 of 20 + 20 x 3/10 = 26 are."""
    crowd = [f"p{k}" for k in range(10)]
    votes = [(f"s/cat{n}", who, "cat") for n in range(20) for who in crowd]
    votes += [
        (f"s/dog{n}", who, "dog" if (k + n) % 10 < 7 else "cat")
        for n in range(20)
        for k, who in enumerate(crowd)
    ]
    votes += [("s/cat25", "p0", "cat"), ("s/dog25", "p0", "dog")]

    labels = labels_of(CATS, votes)

    assert labels.statistics["classes_calibrated"] == 2
    needed = labels.stopping.set_index("class_id")
    assert needed.loc["cat", "first_vote_right"] == pytest.approx(20 / 26, abs=0.03)
    assert needed["n_pictures"].to_dict() == {"cat": 40, "dog": 20}
    assert needed["unanimous_votes"].to_dict() == {"cat": 2, "dog": 1}


def test_the_queue_says_how_many_votes_are_missing() -> None:
    votes = [*TRUE_VOTES, ("s/cat25", "ana", "dog")]

    missing = labels_of(CATS, votes, vote_min=3).frame["votes_missing"]

    assert missing["s/cat25"] >= 2
    assert missing["s/cat1"] == 0
    assert np.isnan(missing["s/cat29"])
