import numpy as np
import pytest

from pipeline_lib.register.class_losses import (
    class_changes,
    holm,
    mcnemar_loss,
    surest_by_chance,
    tail_to_hold,
    visible_class_loss,
)
from pipeline_lib.registry import ClassChange

LEVELS = {"significance": 0.05, "hold_significance": 0.02, "class_loss": 0.02}


def changes_of(classes: dict[str, tuple[int, int, int, int]]) -> dict[str, ClassChange]:
    """name -> images, champion right, only the champion right, only the challenger right."""
    names: list[str] = []
    old: list[bool] = []
    new: list[bool] = []
    for name, (n, right, lost, won) in classes.items():
        names += [name] * n
        old += [True] * right + [False] * (n - right)
        new += [False] * lost + [True] * (right - lost) + [True] * won + [False] * (n - right - won)
    return {one.name: one for one in class_changes(names, np.array(old), np.array(new), **LEVELS)}


def test_mcnemar_is_the_binomial_tail() -> None:
    """b = 6, c = 1: (C(7,6) + C(7,7)) / 2^7 = 8 / 128."""
    assert mcnemar_loss([6, 0, 0], [1, 0, 4]) == pytest.approx([8 / 128, 1.0, 1.0])


def test_holm_multiplies_by_what_is_left_and_never_falls() -> None:
    """Holm 1979: sorted p times 4, 3, 2, 1, made monotone."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_class_that_breaks_down_blocks_and_chance_does_not() -> None:
    found = changes_of({"a": (100, 100, 12, 0), "b": (100, 100, 2, 0)})

    assert (found["a"].blocks, found["b"].blocks, found["b"].falls) == (True, False, False)
    assert found["a"].change == pytest.approx(-0.12)
    assert (found["a"].n_champion, found["a"].n_challenger) == (100, 88)


def test_one_small_class_of_a_thousand_that_vanishes_is_named_and_holds_without_blocking() -> None:
    rest = {f"c{k:03d}": (10, 9, k % 5 == 0, k % 5 == 1) for k in range(999)}

    found = changes_of({**rest, "gone": (10, 9, 9, 0)})

    assert (found["gone"].falls, found["gone"].blocks) == (True, False)
    assert sum(one.falls for one in found.values()) == 1
    assert len(found) == 1000


def test_the_tail_for_one_class_is_the_binomials_own() -> None:
    """One class of 10 disputes: P(9 or more) = 11 / 1024 = 1.1 %, P(8 or more) = 5.5 %."""
    assert surest_by_chance(np.array([10]), 0.02) == pytest.approx(11 / 1024)


def test_two_classes_share_the_chance() -> None:
    """1 - (1 - 11 / 1024)^2 = 2.1 % is too much; 1 - (1 - 1 / 1024)^2 = 0.2 % is not."""
    assert surest_by_chance(np.array([10, 10]), 0.02) == pytest.approx(1 / 1024)


def test_classes_that_cannot_look_bad_cost_nothing() -> None:
    assert surest_by_chance(np.array([10, *[5] * 1000]), 0.02) == pytest.approx(11 / 1024)
    assert surest_by_chance(np.array([0, 0]), 0.02) == 0.0


def test_a_class_with_fewer_than_six_right_answers_may_hide_any_loss() -> None:
    """2^-5 = 3.1 % is more than 2 %, 2^-6 = 1.6 % is not."""
    found = changes_of({"five": (34, 5, 0, 0), "six": (6, 6, 0, 0)})

    assert (found["five"].hidden, found["six"].hidden) == (True, False)
    assert tail_to_hold(np.array([0]), 0.02) == pytest.approx(0.02)


@pytest.mark.parametrize(("n_classes", "n_each"), [(10, 34), (100, 20), (1000, 10)])
@pytest.mark.parametrize("disputed", [0.02, 0.10])
def test_equal_models_are_rarely_held_for_a_class(
    n_classes: int, n_each: int, disputed: float
) -> None:
    """The rule's own chance is at most 2 %; 300 draws may show 5 % by chance, once in 400."""
    random = np.random.default_rng(3)
    lost = random.binomial(n_each, disputed / 2, (300, n_classes))
    won = random.binomial(n_each, disputed / 2, (300, n_classes))

    held = [
        (mcnemar_loss(b, c) <= surest_by_chance(b + c, 0.02) * (1 + 1e-9)).any()
        for b, c in zip(lost, won, strict=True)
    ]

    assert np.mean(held) <= 0.05


def test_the_visible_loss_of_a_class_is_noticed_four_times_in_five() -> None:
    changes = tuple(changes_of({f"c{k}": (34, 33, 1, 1) for k in range(10)}).values())
    n, loss = visible_class_loss(changes, hold_significance=0.02, class_loss=0.02)
    assert (n, loss) == (34, pytest.approx(0.28, abs=0.06))
    assert loss is not None
    background = 2 / 34
    random = np.random.default_rng(4)
    won = random.binomial(34, background / 2 * (1 - loss), 4_000)
    lost = random.binomial(34 - won, loss + background / 2)

    noticed = mcnemar_loss(lost, won) <= tail_to_hold(np.full(10, 2), 0.02)

    assert noticed.mean() == pytest.approx(0.82, abs=0.05)


def test_where_no_loss_can_be_seen_none_is_promised() -> None:
    changes = tuple(changes_of({f"c{k}": (4, 4, 0, 0) for k in range(10)}).values())

    assert visible_class_loss(changes, hold_significance=0.02, class_loss=0.02) == (4, None)
