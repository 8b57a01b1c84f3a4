"""Oracles: arithmetic by hand, and the published idea that a hard class needs more votes."""

import numpy as np
import pandas as pd
import pytest

from pipeline_lib.curate.active_learning import POOL_WEIGHT, learn_stopping


def votes_of(tallies: dict[str, dict[str, int]]) -> pd.DataFrame:
    """tallies: image -> {class: votes}."""
    rows = [
        (image, label)
        for image, said in tallies.items()
        for label, n in said.items()
        for _ in range(n)
    ]
    return pd.DataFrame(rows, columns=["image_id", "label"]).astype("str")


def tallies_of(*rows: tuple[str, int, int]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["label", "n_for", "n_votes"])
    return frame.set_index(pd.Index([f"i{n}" for n in range(len(rows))]))


def test_the_table_counts_the_orders_in_which_votes_may_come() -> None:
    """One image: 3 votes for x, 1 for y, and x is right. The first vote is for x in 3/4 of all orders: of those
    orders the class x was right in all. For y, 1/4 of the orders begin with it, and y was wrong. With the pool over
    both classes (right 3/4 + 1 of 1 + 2 = .583), x: (3/4 + 2 * .583) / (3/4 + 2) = .697; y: 2 * .583 / 2.25 = .519."""
    rule = learn_stopping(
        votes_of({"i": {"x": 3, "y": 1}}), pd.Series({"i": "x"}), calibration_votes=4
    )

    pool = (0.75 + 1) / (1 + 2)
    found = rule.confidence(tallies_of(("x", 1, 1), ("y", 1, 1)))

    assert POOL_WEIGHT == 2
    assert found.to_list() == pytest.approx([(0.75 + 2 * pool) / 2.75, 2 * pool / 2.25])


def test_a_confused_class_needs_more_unanimous_votes_than_an_easy_one() -> None:
    easy = {f"e{n}": {"cat": 10} for n in range(40)}
    hard = {f"h{n}": {"burmese": 6, "siamese": 4} for n in range(20)}
    hard |= {f"k{n}": {"siamese": 6, "burmese": 4} for n in range(20)}
    tallies = {**easy, **hard}
    truth = pd.Series({name: max(said, key=said.__getitem__) for name, said in tallies.items()})

    needed = (
        learn_stopping(votes_of(tallies), truth, calibration_votes=10)
        .by_class(0.9)
        .set_index("class_id")
    )

    assert needed["unanimous_votes"]["cat"] == 1
    assert needed["unanimous_votes"]["burmese"] >= 3
    assert needed["first_vote_right"]["burmese"] < 0.65


def test_the_votes_missing_lead_to_the_threshold_and_no_further() -> None:
    hard = {f"h{n}": {"a": 7, "b": 3} for n in range(30)} | {
        f"k{n}": {"b": 7, "a": 3} for n in range(30)
    }
    truth = pd.Series({name: max(said, key=said.__getitem__) for name, said in hard.items()})
    rule = learn_stopping(votes_of(hard), truth, calibration_votes=10)
    one = tallies_of(("a", 1, 1))

    missing = int(rule.votes_missing(one, 0.9).iloc[0])

    assert missing >= 1
    assert rule.confidence(tallies_of(("a", 1 + missing, 1 + missing))).iloc[0] >= 0.9
    assert rule.confidence(tallies_of(("a", missing, missing))).iloc[0] < 0.9


def test_images_with_few_votes_teach_nothing() -> None:
    rule = learn_stopping(votes_of({"i": {"x": 9}}), pd.Series({"i": "x"}), calibration_votes=10)

    assert rule.p_right == {}
    assert np.isnan(rule.confidence(tallies_of(("x", 1, 1))).iloc[0])
    assert np.isnan(rule.votes_missing(tallies_of(("x", 1, 1)), 0.9).iloc[0])
    assert rule.by_class(0.9).empty
