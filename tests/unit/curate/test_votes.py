"""Oracles: arithmetic by hand, Krippendorff's published example, and simulated annotators whose quality is known."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from pipeline_lib.curate.votes import aggregate, agreement, krippendorff_alpha, majority


def votes_of(*triples: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(triples, columns=["image_id", "annotator", "label"]).astype("str")


def simulate(
    *, n: int, n_classes: int, accuracies: Sequence[float], seed: int
) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n)
    rows = []
    for name, accuracy in enumerate(accuracies):
        right = rng.random(n) < accuracy
        wrong = (truth + rng.integers(1, n_classes, n)) % n_classes
        said = np.where(right, truth, wrong)
        rows += [(f"i{k:05d}", f"a{name}", str(said[k])) for k in range(n)]
    return votes_of(*rows), pd.Series(truth.astype(str), index=[f"i{k:05d}" for k in range(n)])


def test_the_posterior_of_one_vote_against_another_follows_from_the_two_qualities() -> None:
    """Two people who agree on 9 images and differ on the tenth have equal qualities q, so it is a draw: with K = 2
    classes the posterior of either label is 1/2 and the label that sorts first is named."""
    votes = votes_of(
        *[(f"i{n}", who, "x") for n in range(9) for who in "ab"], ("i9", "a", "x"), ("i9", "b", "y")
    )

    consensus = aggregate(votes, 2)

    assert consensus.labels["label"]["i9"] == "x"
    assert consensus.labels["posterior"]["i9"] == pytest.approx(0.5)
    assert consensus.qualities["a"] == pytest.approx(consensus.qualities["b"])


def test_the_qualities_of_simulated_annotators_are_recovered() -> None:
    votes, _ = simulate(n=3000, n_classes=10, accuracies=(0.95, 0.8, 0.6, 0.3), seed=1)

    qualities = aggregate(votes, 10).qualities

    assert qualities.to_list() == pytest.approx([0.95, 0.8, 0.6, 0.3], abs=0.03)


def test_weighing_by_quality_beats_the_majority_when_some_annotators_guess() -> None:
    votes, truth = simulate(n=2000, n_classes=10, accuracies=(0.95, 0.9, 0.2, 0.2, 0.2), seed=2)

    ours = (aggregate(votes, 10).labels["label"] == truth).mean()
    plain = (majority(votes) == truth).mean()

    assert ours > 0.93
    assert ours > plain + 0.05


def test_a_posterior_means_what_it_says() -> None:
    votes, truth = simulate(n=4000, n_classes=5, accuracies=(0.8, 0.7, 0.7), seed=3)

    labels = aggregate(votes, 5).labels

    sure = labels["posterior"] > 0.9
    assert (labels["label"] == truth)[sure].mean() == pytest.approx(
        labels["posterior"][sure].mean(), abs=0.02
    )


def test_the_result_does_not_depend_on_the_order_of_the_votes() -> None:
    votes, _ = simulate(n=300, n_classes=4, accuracies=(0.9, 0.7, 0.6), seed=4)

    shuffled = votes.sample(frac=1, random_state=0)

    pd.testing.assert_frame_equal(aggregate(votes, 4).labels, aggregate(shuffled, 4).labels)


def test_no_votes_give_no_labels() -> None:
    consensus = aggregate(votes_of(), 10)

    assert consensus.labels.empty
    assert consensus.qualities.empty


def test_the_majority_takes_the_first_label_in_a_tie() -> None:
    votes = votes_of(
        ("i", "a", "y"), ("i", "b", "x"), ("j", "a", "y"), ("j", "b", "y"), ("j", "c", "x")
    )

    assert majority(votes).to_dict() == {"i": "x", "j": "y"}


def test_alpha_equals_krippendorffs_published_example() -> None:
    """Krippendorff 2011, section C: four observers, twelve units, nominal data with gaps; alpha = .743."""
    said = {
        "A": "1 2 3 3 2 1 4 1 2 . . .",
        "B": "1 2 3 3 2 2 4 1 2 5 . 3",
        "C": ". 3 3 3 2 3 4 2 2 5 1 .",
        "D": "1 2 3 3 2 4 4 1 2 5 1 .",
    }
    triples = [
        (f"u{n}", who, v)
        for who, line in said.items()
        for n, v in enumerate(line.split())
        if v != "."
    ]

    assert krippendorff_alpha(votes_of(*triples)) == pytest.approx(0.743, abs=0.0005)


def test_alpha_is_undefined_when_nobody_voted_twice_on_an_image() -> None:
    assert np.isnan(krippendorff_alpha(votes_of(("i", "a", "x"), ("j", "b", "y"))))


def test_agreement_is_the_share_of_the_others_who_said_the_same() -> None:
    """On i: a and b say x, c says y. On j: a and b say x. So a agrees with 2 of 3 others, c with 0 of 2."""
    votes = votes_of(
        ("i", "a", "x"), ("i", "b", "x"), ("i", "c", "y"), ("j", "a", "x"), ("j", "b", "x")
    )

    assert agreement(votes).to_dict() == pytest.approx({"a": 2 / 3, "b": 2 / 3, "c": 0.0})
