import dataclasses

import numpy as np
import pandas as pd
import pytest

from pipeline_lib.register.gate import Champion, judge
from pipeline_lib.register.paired import compare
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.register.reference import (
    better_than_its_twin,
    near_reference,
    only_seed_differs,
    supersedes,
)
from pipeline_lib.registry import Comparison, Verdict
from pipeline_lib.registry.closure import Closure, StageReceipt
from tests.unit.register.test_gate import IDS, LABELS, champion, evaluation


def comparison_of(b: int, c: int, n: int) -> Comparison:
    old, new = np.ones(n, bool), np.ones(n, bool)
    new[:b], old[b : b + c] = False, False
    return compare(old, new, champion_version=3, smallest_margin=0.005)


def verdict(
    wrong: int, reference: Champion | None, *, champion_wrong: int, only_seed_changed: bool = False
) -> Verdict:
    return judge(
        evaluation(wrong),
        RegisterParams(),
        champion=champion(range(champion_wrong)),
        candidate=False,
        rolled_back=None,
        reference=reference,
        only_seed_changed=only_seed_changed,
    )


def pinned(wrong: int) -> Champion:
    return dataclasses.replace(champion(range(wrong)), version=3)


@pytest.mark.parametrize(
    ("b", "c", "passed"),
    [(0, 0, True), (4, 2, True), (14, 9, None), (20, 10, False), (40, 2, False)],
)
def test_a_model_must_not_be_far_behind_the_reference(b: int, c: int, passed: bool | None) -> None:
    assert near_reference(comparison_of(b, c, 338)).passed is passed


@pytest.mark.parametrize("n", [5, 20, 60, 338, 10_000])
def test_a_model_that_answers_as_the_reference_is_never_held_by_it(n: int) -> None:
    assert near_reference(comparison_of(0, 0, n)).passed is True


def test_small_losses_against_each_champion_add_up_to_one_that_the_reference_sees() -> None:
    """Two images more in a night may be lost against the champion; 16 against the reference may not."""
    assert verdict(16, None, champion_wrong=14).decision == "promote"

    found = verdict(16, pinned(0), champion_wrong=14)

    assert found.decision == "reject"
    assert found.sentence == (
        "Refused: 4.0 points worse than the reference, version 3; that it is 4.2 worse cannot be ruled out."
    )


def test_the_reference_moves_only_to_what_is_superior_to_it() -> None:
    lucky, superior = (
        verdict(0, pinned(5), champion_wrong=0),
        verdict(0, pinned(40), champion_wrong=0),
    )

    assert (lucky.decision, lucky.becomes_reference) == ("promote", False)
    assert (superior.decision, superior.becomes_reference) == ("promote", True)
    assert not supersedes(
        comparison_of(0, 6, 338)
    )  # sqrt(6) = 2.4 standard deviations, 2.6 are asked
    assert supersedes(comparison_of(0, 7, 338))


def test_the_first_model_becomes_the_reference() -> None:
    found = judge(evaluation(), RegisterParams(), champion=None, candidate=False, rolled_back=None)

    assert found.becomes_reference


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        (Champion(3, None, {}, why_silent="it was erased"), "it was erased"),
        (
            Champion(3, pd.Series(LABELS.astype(str), index=IDS), {"x": "x"}),
            "it knows none of today's classes",
        ),
    ],
)
def test_a_reference_that_cannot_be_asked_is_named_and_holds_nothing(
    reference: Champion, why: str
) -> None:
    found = verdict(4, reference, champion_wrong=4)

    assert found.decision == "promote"
    said = f"compared with the champion alone, as the reference, version 3, cannot be asked: {why}; `perennial promote"
    assert any(note.startswith(said) for note in found.notes)


def test_where_only_the_seed_changed_only_a_superior_model_is_promoted() -> None:
    equal = verdict(4, None, champion_wrong=4, only_seed_changed=True)

    assert equal.decision == "inconclusive"
    assert equal.sentence.startswith(
        "Held as challenger: only the seed changed, and as often right as version 7 on "
    )
    assert verdict(4, None, champion_wrong=30, only_seed_changed=True).decision == "promote"
    assert better_than_its_twin(comparison_of(0, 2, 338)).passed is None


def closure(code: str = "a", **train: object) -> Closure:
    return Closure(
        {"train": StageReceipt("train", {"pipeline_lib/train": code}, {"train": train}, {})}
    )


def test_two_lines_that_differ_by_the_seed_alone_are_told_from_others() -> None:
    assert only_seed_differs(closure(seed=1, epochs=2), closure(seed=0, epochs=2))
    assert only_seed_differs(closure(seed=1), closure())
    assert not only_seed_differs(closure(seed=1, epochs=3), closure(seed=0, epochs=2))
    assert not only_seed_differs(closure("b", seed=1), closure("a", seed=0))
    assert not only_seed_differs(closure(seed=1), closure(seed=1))
