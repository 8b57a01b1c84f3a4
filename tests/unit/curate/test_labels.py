import pytest

from pipeline_lib.curate.labels import decide_labels
from pipeline_lib.curate.overrides import ClassChanges
from pipeline_lib.curate.params import CurateParams
from tests.unit.curate.made_tables import Picture, make_found, make_rows

PEOPLE = ("ana", "ben", "cleo")
NO_CHANGES = ClassChanges({}, frozenset())
CATS = [Picture(f"s/cat{n}") for n in range(30)] + [Picture(f"s/dog{n}", label="dog") for n in range(30)]
TRUE_VOTES = [(f"s/{label}{n}", who, label) for label in ("cat", "dog") for n in range(20) for who in PEOPLE]


def labels_of(pictures, votes, **params):
    frame = make_found(pictures, votes=votes).votes.astype("str")
    return decide_labels(make_rows(pictures), frame, NO_CHANGES, CurateParams(**params))


def test_a_label_is_replaced_when_the_votes_against_it_are_nearly_certain():
    votes = [*TRUE_VOTES, *[("s/cat25", who, "dog") for who in PEOPLE]]

    row = labels_of(CATS, votes).frame.loc["s/cat25"]

    assert (row["class_id"], row["label_source"], row["n_votes"]) == ("dog", "votes", 3)
    assert row["label_confidence"] > 0.9


def test_a_label_is_not_replaced_by_fewer_votes_than_vote_min():
    votes = [*TRUE_VOTES, ("s/cat25", "ana", "dog")]

    row = labels_of(CATS, votes, vote_min=2).frame.loc["s/cat25"]

    assert (row["class_id"], row["label_source"]) == ("cat", "received")
    assert row["undecided"]


def test_one_vote_that_agrees_leaves_no_question():
    row = labels_of(CATS, [*TRUE_VOTES, ("s/cat25", "ana", "cat")]).frame.loc["s/cat25"]

    assert not row["undecided"]


def test_votes_label_a_picture_that_came_without_a_label():
    pictures = [*CATS, Picture("s/new", label=None)]

    row = labels_of(pictures, [*TRUE_VOTES, *[("s/new", who, "dog") for who in PEOPLE]]).frame.loc["s/new"]

    assert (row["class_id"], row["label_source"]) == ("dog", "votes")


def test_when_nothing_is_labelled_the_classes_are_those_voted_for():
    pictures = [Picture(f"s/{n}", label=None) for n in range(20)]
    votes = [(f"s/{n}", who, "cat" if n % 2 else "dog") for n in range(20) for who in PEOPLE]

    labels = labels_of(pictures, votes)

    assert labels.classes == ("cat", "dog")
    assert set(labels.frame["label_source"]) == {"votes"}


def test_votes_for_a_class_outside_the_list_or_an_unknown_picture_are_counted_and_left_out():
    votes = [*TRUE_VOTES, ("s/cat25", "ana", "cow"), ("s/nobody", "ana", "cat")]

    labels = labels_of(CATS, votes)

    assert labels.figures["for_unknown_classes"] == 1
    assert labels.figures["of_unknown_pictures"] == 1
    assert labels.frame.loc["s/cat25", "n_votes"] == 0


def test_the_annotators_table_tells_the_good_from_the_careless():
    def said(n, who):
        return "cat" if who != "cleo" or n % 3 else "dog"

    labels = labels_of(CATS, [(f"s/cat{n}", who, said(n, who)) for n in range(30) for who in PEOPLE])

    accuracy = labels.annotators.set_index("annotator")["accuracy"]
    assert accuracy["ana"] > 0.9
    assert accuracy["cleo"] == pytest.approx(2 / 3, abs=0.05)
    assert labels.annotators["n_votes"].to_list() == [30, 30, 30]


def test_the_received_label_counts_as_a_vote_of_its_source():
    """Two people who contradict each other are settled by the label received: it agrees with one of them."""
    votes = [*TRUE_VOTES, ("s/cat25", "ana", "cat"), ("s/cat25", "ben", "dog")]

    row = labels_of(CATS, votes).frame.loc["s/cat25"]

    assert row["voted"] == "cat"
    assert row["label_confidence"] > 0.9
