"""Oracles: Dawid and Skene's full model, written densely; scipy's Dirichlet-multinomial; simulated annotators."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import dirichlet_multinomial

from pipeline_lib.curate import vote_errors
from pipeline_lib.curate.votes import Consensus, aggregate

N_CLASSES = 6


def crowd(
    *, n: int, annotators: int, votes_each: int, confusing: bool, shares: list[float] | None = None
) -> tuple[pd.DataFrame, pd.Series]:
    """Votes of annotators who err evenly, or each in their own way and not on every class; and the truth."""
    rng = np.random.default_rng(7)
    truth = rng.choice(N_CLASSES, n, p=shares)
    right_AK = rng.beta(6, 2, (annotators, N_CLASSES if confusing else 1)) * np.ones(N_CLASSES)
    instead_AK = (np.arange(N_CLASSES) + rng.integers(1, N_CLASSES, (annotators, N_CLASSES))) % 6
    who = rng.random((n, annotators)).argsort(axis=1)[:, :votes_each].ravel()
    true = np.repeat(truth, votes_each)
    wrong = (true + rng.integers(1, N_CLASSES, len(true))) % N_CLASSES
    wrong = instead_AK[who, true] if confusing else wrong
    said = np.where(rng.random(len(true)) < right_AK[who, true], true, wrong)
    ids = np.array([f"i{number:05d}" for number in range(n)])
    votes = {"image_id": np.repeat(ids, votes_each), "annotator": who, "label": said}
    return pd.DataFrame(votes).astype("str"), pd.Series(truth.astype(str), index=ids)


def right(consensus: Consensus, truth: pd.Series) -> float:
    return float((consensus.labels["label"] == truth).mean())


def one_coin(votes: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Consensus:
    with monkeypatch.context() as patch:
        patch.setattr(vote_errors, "STRENGTHS", (np.inf,))
        return aggregate(votes, N_CLASSES)


def full_dawid_skene(votes: pd.DataFrame) -> pd.Series:
    """Maximum likelihood with a matrix for every annotator, as published."""
    image, images = pd.factorize(votes["image_id"], sort=True)
    annotator = votes["annotator"].astype(int).to_numpy()
    said = votes["label"].astype(int).to_numpy()
    posterior_NK = np.zeros((len(images), N_CLASSES))
    np.add.at(posterior_NK, (image, said), 1)
    for _ in range(100):
        posterior_NK /= posterior_NK.sum(axis=1, keepdims=True)
        confusion_AKK = np.full((annotator.max() + 1, N_CLASSES, N_CLASSES), 1e-6)
        np.add.at(confusion_AKK.transpose(0, 2, 1), (annotator, said), posterior_NK[image])
        confusion_AKK /= confusion_AKK.sum(axis=2, keepdims=True)
        log_NK = np.tile(np.log(posterior_NK.mean(axis=0) + 1e-12), (len(images), 1))
        np.add.at(log_NK, image, np.log(confusion_AKK[annotator, :, said]))
        posterior_NK = np.exp(log_NK - log_NK.max(axis=1, keepdims=True))
    return pd.Series(posterior_NK.argmax(axis=1).astype(str), index=images)


def test_annotators_with_many_votes_get_confusions_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    votes, truth = crowd(n=1500, annotators=8, votes_each=3, confusing=True)

    ours = aggregate(votes, N_CLASSES)

    assert ours.strengths.errors == "class and annotator"
    assert right(ours, truth) > right(one_coin(votes, monkeypatch), truth) + 0.05
    named = (votes["label"] == votes["image_id"].map(truth)).groupby(votes["image_id"]).any()
    full = full_dawid_skene(votes) == truth
    assert (ours.labels["label"] == truth)[named].mean() > full[named].mean() - 0.005


def test_annotators_who_err_evenly_are_judged_by_one_coin_to_the_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    votes, truth = crowd(n=1000, annotators=200, votes_each=3, confusing=False)

    ours = aggregate(votes, N_CLASSES)

    assert ours.strengths == vote_errors.Strengths()
    assert ours.strengths.errors == "annotator"
    pd.testing.assert_frame_equal(ours.soft, one_coin(votes, monkeypatch).soft, check_exact=True)
    assert right(ours, truth) > (full_dawid_skene(votes) == truth).mean() + 0.05


def test_two_votes_an_image_teach_no_confusions() -> None:
    votes, _ = crowd(n=1500, annotators=8, votes_each=2, confusing=True)

    assert aggregate(votes, N_CLASSES).strengths == vote_errors.Strengths()


def test_a_rare_class_needs_better_evidence_than_a_common_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shares = [0.8, 0.1, 0.05, 0.03, 0.01, 0.01]
    votes, truth = crowd(n=1500, annotators=20, votes_each=3, confusing=False, shares=shares)

    ours = aggregate(votes, N_CLASSES)

    assert right(ours, truth) > right(one_coin(votes, monkeypatch), truth) + 0.01


@pytest.mark.parametrize("annotators", [8, 60])
def test_a_posterior_means_what_it_says_under_confusions_too(annotators: int) -> None:
    votes, truth = crowd(n=1500, annotators=annotators, votes_each=3, confusing=True)

    labels = aggregate(votes, N_CLASSES).labels

    sure = labels["posterior"] >= 0.9
    promised = labels["posterior"][sure].mean()
    assert sure.mean() > 0.5
    assert (labels["label"] == truth)[sure].mean() == pytest.approx(promised, abs=0.015)


def test_the_strength_is_the_one_of_most_evidence() -> None:
    """Three distributions near each other: scipy's density of the counts, at each strength on offer."""
    expected = np.array([0.7, 0.2, 0.1])
    counts_RC = np.array([[60, 30, 10], [75, 10, 15], [80, 15, 5]])

    found = vote_errors._strongest(
        counts_RC.ravel().astype(float), np.repeat([0, 1, 2], 3), np.tile(expected, 3)
    )

    finite = [strength for strength in vote_errors.STRENGTHS if np.isfinite(strength)]
    evidence = [
        sum(dirichlet_multinomial.logpmf(row, s * expected, row.sum()) for row in counts_RC)
        for s in finite
    ]
    assert found == finite[int(np.argmax(evidence))]


def test_counts_that_are_as_expected_need_no_distributions_of_their_own() -> None:
    count = np.array([70.0, 20.0, 10.0, 140.0, 40.0, 20.0])

    strength = vote_errors._strongest(
        count, np.array([0, 0, 0, 1, 1, 1]), np.tile([0.7, 0.2, 0.1], 2)
    )

    assert strength == np.inf
