"""Which images an epoch shows: pure functions."""

import numpy as np
from scipy.stats import chisquare

from pipeline_lib.loader.augmentation import image_keys, repeated_keys
from pipeline_lib.loader.epoch_plan import balanced, repetitions, shuffled

SIZES = (2000, 300, 80, 20)
LABELS = np.repeat(np.arange(4), SIZES)
KEYS = image_keys([f"picture {number}" for number in range(len(LABELS))])


def test_a_balanced_epoch_is_as_long_and_shows_every_class_equally_often() -> None:
    shown = balanced(KEYS, LABELS, seed=0, epoch=0)

    assert len(shown) == len(LABELS)
    assert chisquare(np.bincount(LABELS[shown])).pvalue > 0.001


def test_every_image_of_a_class_is_drawn_equally_often() -> None:
    shown = np.concatenate([balanced(KEYS, LABELS, seed=0, epoch=epoch) for epoch in range(20)])

    for label in range(4):
        assert chisquare(np.bincount(shown, minlength=len(LABELS))[label == LABELS]).pvalue > 0.001


def test_classes_come_in_no_order() -> None:
    """Neighbours in the epoch are of the same class in a quarter of the cases: 600 of 2,399, standard error 21."""
    classes = LABELS[balanced(KEYS, LABELS, seed=0, epoch=0)]

    assert abs((classes[1:] == classes[:-1]).sum() - 600) < 90


def test_epochs_and_seeds_give_other_balanced_orders() -> None:
    orders = {
        balanced(KEYS, LABELS, seed=seed, epoch=epoch).tobytes()
        for seed in range(3)
        for epoch in range(3)
    }

    assert len(orders) == 9


def test_what_is_drawn_does_not_depend_on_the_order_of_the_selection() -> None:
    other = np.random.default_rng(0).permutation(len(LABELS))

    shown = balanced(KEYS, LABELS, seed=3, epoch=4)
    same = other[balanced(KEYS[other], LABELS[other], seed=3, epoch=4)]

    assert np.array_equal(shown, same)


def test_orders_are_frozen() -> None:
    """A change of these values changes every training run."""
    assert shuffled(KEYS[:8], seed=1, epoch=2).tolist() == [0, 7, 4, 3, 1, 5, 2, 6]
    assert balanced(KEYS[1996:2004], LABELS[1996:2004], seed=1, epoch=2).tolist() == [
        7,
        4,
        5,
        3,
        5,
        6,
        4,
        4,
    ]


def test_repetitions_count_how_often_an_image_came_before() -> None:
    assert repetitions(np.array([5, 2, 5, 5, 0, 2])).tolist() == [0, 0, 1, 2, 0, 1]


def test_a_repeated_image_has_a_key_of_its_own_and_the_first_visit_the_images() -> None:
    keys = np.stack(
        [repeated_keys(KEYS, np.full(len(KEYS), repetition)) for repetition in range(3)]
    )

    assert np.array_equal(keys[0], KEYS)
    assert len(np.unique(keys)) == keys.size
