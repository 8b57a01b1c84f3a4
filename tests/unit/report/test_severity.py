"""How far off mistakes are: the figures of Bertinetto et al. by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pipeline_lib.report.severity import severity

# thing > animal > dog > husky, malamute; thing > animal > dog; thing > vehicle > bus
TREE = {
    0: ("thing", "animal", "dog"),  # husky
    1: ("thing", "animal", "dog"),  # malamute
    2: ("thing", "animal"),  # newt
    3: ("thing", "vehicle"),  # bus
}


def test_a_mistake_is_as_severe_as_the_lowest_superclass_of_both_is_high() -> None:
    """Husky for malamute 1 step, for newt 2, for bus 3: (1 + 1 + 2 + 3) / 4. One of five answers is right."""
    label_N = np.array([0, 1, 0, 0, 3])
    said_N = np.array([1, 0, 2, 3, 3])

    found = severity(label_N, said_N, TREE)

    assert found is not None
    assert (found.mean, found.of_all, found.highest) == (7 / 4, 7 / 5, 3)
    assert [(one.height, one.n_mistakes, one.names) for one in found.heights] == [
        (1, 2, ("dog",)),
        (2, 1, ("animal",)),
        (3, 1, ("thing",)),
    ]


def test_chance_is_the_mean_over_all_other_classes_of_the_labels_that_were_missed() -> None:
    """Oracle: every answer but the right one, once."""
    pairs = [(a, b) for a, b in itertools.product(TREE, TREE) if a != b]
    labels, answers = np.array(pairs).T
    every = severity(labels, answers, TREE)

    of_the_bus = severity(np.array([3]), np.array([0]), TREE)

    assert every is not None and of_the_bus is not None
    assert every.chance == pytest.approx(every.mean)
    assert of_the_bus.chance == 3


def test_classes_without_a_common_superclass_meet_in_one_over_all() -> None:
    apart = {0: ("dog",), 1: ("dog",), 2: ("plant", "tree"), 3: ()}

    found = severity(np.array([0, 0, 0]), np.array([1, 2, 3]), apart)

    assert found is not None
    assert [(one.height, one.names) for one in found.heights] == [
        (1, ("dog",)),
        (3, ("all classes",)),
    ]


def test_without_superclasses_or_without_mistakes_there_is_nothing_to_tell() -> None:
    assert severity(np.array([0]), np.array([1]), {0: (), 1: ()}) is None
    assert severity(np.array([0]), np.array([0]), TREE) is None
