"""Oracles: planted flips, and cleanlab's own ranking on the same probabilities' task."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from pipeline_lib.curate import label_issues
from pipeline_lib.curate.label_issues import LabelIssues, find_label_issues, folds_of
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.errors import ConfigError
from pipeline_lib.params_file import load_section

PARAMS = CurateParams()
Digits = tuple[pd.DataFrame, pd.DataFrame, set[str], pd.Series]


@pytest.fixture(scope="module")
def digits() -> Digits:
    """600 digits with 30 labels flipped: rows, features and the flipped image_ids."""
    raw, rng = load_digits(), np.random.default_rng(0)
    chosen = rng.permutation(len(raw.target))[:600]
    ids = [f"s/{n:04d}" for n in range(600)]
    truth = raw.target[chosen]
    given = truth.copy()
    given[:30] = (truth[:30] + rng.integers(1, 10, 30)) % 10
    rows = pd.DataFrame({"class_id": given.astype(str), "fold_group": ids}, index=ids).astype("str")
    vectors = list((raw.data[chosen] / 16).astype(np.float32))
    features = pd.DataFrame({"kind": "pixels", "vector": vectors}, index=ids)
    return rows, features, set(ids[:30]), pd.Series(truth.astype(str), index=ids)


@pytest.fixture(scope="module")
def opinion(digits: Digits) -> LabelIssues:
    rows, features, _, _ = digits
    return find_label_issues(rows, features, PARAMS)


def test_flipped_labels_are_doubted_and_the_true_class_is_suggested(
    digits: Digits, opinion: LabelIssues
) -> None:
    _, _, flipped, truth = digits

    doubted = set(opinion.frame.index[opinion.frame["doubted"]])

    assert len(doubted & flipped) >= 26
    assert len(doubted - flipped) <= 6
    right = opinion.frame["label_suggested"] == truth
    assert right[sorted(doubted & flipped)].mean() >= 0.95


def test_the_accuracy_is_the_share_of_given_labels_predicted(opinion: LabelIssues) -> None:
    assert 0.85 < opinion.accuracy < 0.96


def test_the_ranking_is_as_good_as_cleanlabs_on_logistic_regression(
    digits: Digits, opinion: LabelIssues
) -> None:
    cleanlab_rank = pytest.importorskip(
        "cleanlab.rank", reason="cleanlab is not installed: no oracle to compare with"
    )
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score
    from sklearn.model_selection import cross_val_predict

    rows, features, flipped, _ = digits
    is_flipped = rows.index.isin(flipped)
    labels, vectors = (
        rows["class_id"].astype(int).to_numpy(),
        np.stack(features["vector"].to_list()),
    )
    p_NK = cross_val_predict(
        LogisticRegression(max_iter=100), vectors, labels, cv=5, method="predict_proba"
    )
    theirs = average_precision_score(
        is_flipped, -cleanlab_rank.get_normalized_margin_for_each_label(labels, p_NK)
    )

    ours = average_precision_score(
        is_flipped, opinion.frame["p_suggested"] - opinion.frame["p_given"]
    )

    assert ours >= theirs - 0.01
    assert ours > 0.93


def test_an_opinion_is_the_same_bit_for_bit_when_asked_again(
    digits: Digits, opinion: LabelIssues
) -> None:
    rows, features, _, _ = digits

    again = find_label_issues(rows, features.sample(frac=1, random_state=1), PARAMS)

    pd.testing.assert_frame_equal(again.frame, opinion.frame, check_exact=True)


def test_a_large_set_is_learnt_from_a_sample_and_every_image_is_still_judged(
    digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, features, flipped, _ = digits
    monkeypatch.setattr(label_issues, "BLOCK_ROWS", 50)

    opinion = find_label_issues(rows, features, CurateParams(cl_train_rows=250))

    assert opinion.frame["p_given"].notna().all()
    assert len(set(opinion.frame.index[opinion.frame["doubted"]]) & flipped) >= 18


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("hog", "gradients of 600 images .* name builtin:efficientnet_lite0 or another network in"),
        ("embedding:0123", "the network's features of 600 images .* name a stronger network in"),
    ],
)
def test_features_that_know_too_little_doubt_nothing_and_say_what_would_help(
    digits: Digits, kind: str, said: str
) -> None:
    rows, features, _, _ = digits
    blurred = features["vector"].map(lambda vector: vector.reshape(2, 32).mean(axis=1))

    opinion = find_label_issues(rows, features.assign(kind=kind, vector=blurred), PARAMS)

    assert not opinion.frame["doubted"].any()
    assert opinion.frame["label_doubt"].notna().all()  # the ranking is there all the same
    assert re.match(r"out-of-fold accuracy 0\.\d\d, 0\.78 needed: " + said, opinion.unjudged)


def test_a_lower_limit_lets_weak_features_doubt_labels(digits: Digits) -> None:
    rows, features, _, _ = digits
    few = features["vector"].map(lambda vector: vector.reshape(4, 16).mean(axis=1))

    opinion = find_label_issues(
        rows, features.assign(vector=few), CurateParams(cl_min_accuracy=0, cl_doubt=0.3)
    )

    assert opinion.true_accuracy < PARAMS.cl_min_accuracy
    assert opinion.frame["doubted"].any()
    assert opinion.unjudged == ""


def test_how_many_labels_are_wrong_is_estimated(opinion: LabelIssues) -> None:
    assert opinion.noise_rate == pytest.approx(30 / 600, abs=0.015)


def test_vectors_of_different_kinds_are_judged_apart_and_too_few_of_a_kind_not_at_all(
    digits: Digits,
) -> None:
    rows, features, _, _ = digits
    features = features.copy()
    few = features.index[:20]
    features.loc[few, "kind"] = "embedding:0123"
    features.loc[few, "vector"] = pd.Series([np.zeros(3, np.float32)] * 20, index=few)

    opinion = find_label_issues(rows, features, PARAMS)

    assert opinion.frame.loc[few, "p_given"].isna().all()
    assert not opinion.frame.loc[few, "doubted"].any()
    assert opinion.frame["p_given"].notna().sum() == 580


def test_without_features_nothing_is_doubted_and_the_accuracy_is_undefined(digits: Digits) -> None:
    rows, features, _, _ = digits

    opinion = find_label_issues(rows, features.iloc[:0], PARAMS)

    assert not opinion.frame["doubted"].any()
    assert np.isnan(opinion.accuracy)


def test_copies_share_a_fold_and_classes_are_dealt_evenly() -> None:
    groups = pd.Series([f"g{n // 2}" for n in range(400)], index=[f"i{n}" for n in range(400)])
    labels = np.repeat(np.arange(200) % 4, 2)

    fold, _ = folds_of(groups, labels, n_folds=5, salt="v1")

    table = pd.DataFrame({"group": groups.to_numpy(), "fold": fold, "label": labels})
    assert table.groupby("group")["fold"].nunique().max() == 1
    assert set(table.groupby(["label", "fold"]).size()) == {20}


def test_the_margin_of_earlier_releases_is_refused_and_the_error_names_what_replaced_it(
    tmp_path: Path,
) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("curate: {cl_margin: 0.2}\n")

    with pytest.raises(
        ConfigError, match=r"curate\.cl_margin no longer exists: .* set curate\.cl_doubt"
    ):
        load_section(file, "curate", CurateParams)
