"""Oracles: arithmetic on a line, and digits without labels."""

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from pipeline_lib.curate.active_learning import rank_to_label
from pipeline_lib.curate.label_issues import find_label_issues
from pipeline_lib.curate.params import CurateParams


def on_a_line(*places: float) -> np.ndarray:
    return np.array([[place] for place in places], dtype=np.float32)


def test_equally_uncertain_images_are_asked_farthest_first() -> None:
    """Labelled at 0. Of 1, 2, 9, 10: 10 is farthest; then 2 (2 from 0) before 1 and 9 (1 from 0, 1 from 10)."""
    order = rank_to_label(np.ones(4), on_a_line(1, 2, 9, 10), on_a_line(0), n=4)

    assert order.tolist() == [3, 1, 0, 2]


def test_of_two_alike_the_second_waits_and_the_sure_one_too() -> None:
    """10 and 10.1 are near each other, 5 is sure (uncertainty .01): after 10.1 comes 3, then 10 or 5."""
    order = rank_to_label(
        np.array([1.0, 1.0, 0.01, 1.0]), on_a_line(10, 10.1, 5, 3), on_a_line(0), n=2
    )

    assert order.tolist() == [1, 3]


def test_with_nothing_labelled_the_most_unlike_come_first() -> None:
    order = rank_to_label(np.ones(3), on_a_line(0, 1, 9), np.empty((0, 1), np.float32), n=2)

    assert order.tolist() == [2, 0]


def test_no_more_are_ranked_than_there_are() -> None:
    assert len(rank_to_label(np.ones(2), on_a_line(1, 2), on_a_line(0), n=10)) == 2
    assert len(rank_to_label(np.ones(0), np.empty((0, 1), np.float32), on_a_line(0), n=10)) == 0


def digits(n_without_class: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    raw = load_digits()
    ids = [f"i{n:03d}" for n in range(400)]
    label = pd.Series(raw.target[:400].astype(str), index=ids, dtype="str")
    label[:n_without_class] = np.nan
    rows = pd.DataFrame({"class_id": label, "fold_group": ids}, index=ids)
    features = pd.DataFrame(
        {"kind": "hog", "vector": list((raw.data[:400] / 16).astype(np.float32))}, index=ids
    )
    return rows, features, pd.Series(raw.target[:400].astype(str), index=ids)


def test_images_without_a_class_get_a_guess_and_the_first_of_them_a_rank() -> None:
    rows, features, truth = digits(100)

    frame = find_label_issues(rows, features, CurateParams(label_next=20)).frame

    asked = frame[rows["class_id"].isna()]
    assert sorted(asked["al_rank"].dropna()) == list(range(1, 21))
    assert (asked["label_suggested"] == truth[asked.index]).mean() > 0.9
    assert asked[["p_given", "label_doubt"]].isna().all().all()
    assert (
        asked.loc[asked["al_rank"] <= 20, "p_suggested"].mean() < asked["p_suggested"].mean() - 0.05
    )


def test_labels_are_ranked_for_review_by_their_doubt() -> None:
    rows, features, truth = digits(0)
    rows.loc["i007", "class_id"] = "5" if truth["i007"] != "5" else "6"

    frame = find_label_issues(rows, features, CurateParams()).frame

    assert frame["al_rank"].idxmin() == frame["label_doubt"].idxmax() == "i007"
    other = frame["label_suggested"] != rows["class_id"]
    assert frame["al_rank"].notna().equals(other)


def test_before_anything_is_labelled_unlike_images_are_asked_first() -> None:
    rows, features, _ = digits(400)

    frame = find_label_issues(rows, features, CurateParams(label_next=30)).frame

    assert frame["al_rank"].notna().sum() == 30
    assert frame["label_suggested"].isna().all()
