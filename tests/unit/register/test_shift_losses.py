"""Losses on corrupted images and extra test sets: they hold a model where they are certain and large."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.register.champion_shift import choices, joined
from pipeline_lib.register.class_losses import mcnemar_loss
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.register.run import run
from pipeline_lib.register.shift_losses import loss_by_chance, no_shift_lost, shift_changes
from pipeline_lib.registry import Verdict, load_registry
from pipeline_lib.settings import Settings
from pipeline_lib.tables.shifted import SHIFTED
from testing.tiny_line import TinyLine, make_line, receive
from tests.unit.register.test_champion_answers import with_betons


@given(b=st.integers(0, 40), c=st.integers(0, 40))
def test_with_one_answer_per_image_the_test_is_mcnemars(b: int, c: int) -> None:
    change_N = np.array([-1] * b + [1] * c + [0] * 5)

    assert loss_by_chance(change_N) == pytest.approx(float(mcnemar_loss(b, c)), abs=1e-12)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_with_several_answers_per_image_all_signs_are_counted(changes: list[int]) -> None:
    change_N = np.array(changes, dtype=np.int64)
    signs = np.array(list(product((-1, 1), repeat=len(changes)))).reshape(-1, len(changes))

    expected = float(((signs * np.abs(change_N)).sum(1) <= change_N.sum()).mean())

    assert loss_by_chance(change_N) == pytest.approx(expected, abs=1e-12)


def answers(lost: int, won: int = 0, *, n: int = 200, sets: tuple[str, ...]) -> pd.DataFrame:
    """The same answers in every set: of n images `lost` only by the champion, `won` only by the new model."""
    at = np.arange(n)
    rows = pd.DataFrame(
        {
            "image_id": [f"s/{k}" for k in at],
            "champion_right": at >= won,
            "correct": (at >= won + lost) | (at < won),
            "shared": True,
        }
    )
    return pd.concat([rows.assign(test_set=name) for name in sets], ignore_index=True)


BLUR = tuple(f"corrupted/blur/{strength}" for strength in (1, 2, 3))


def test_a_certain_loss_in_one_kind_holds_and_names_kind_points_and_images() -> None:
    rows = pd.concat(
        [answers(24, 2, sets=BLUR), answers(1, 1, sets=("corrupted/fog/1", "extra/phone"))]
    )

    changes = shift_changes(rows, RegisterParams(), plain_top1=1.0)

    assert [(one.name, one.holds) for one in changes] == [
        ("corrupted/blur", True),
        ("corrupted/fog", False),
        ("extra/phone", False),
    ]
    assert changes[0].n_images == 200
    assert no_shift_lost(changes).passed is None
    assert no_shift_lost(changes).sentence == (
        "beyond chance, accuracy on blurred images falls by 11.0 points, from 99.0 % to 88.0 % "
        "(200 images, strengths 1, 2, 3)"
    )


def test_the_answers_to_one_image_count_once() -> None:
    """Five images of 200 lost in three strengths are five that chance took, not fifteen."""
    changes = shift_changes(answers(5, 1, sets=BLUR), RegisterParams(), plain_top1=1.0)

    assert changes[0].p_adjusted == pytest.approx(7 / 64)
    assert not changes[0].holds


def test_where_the_champion_has_lost_its_way_there_is_nothing_to_lose() -> None:
    """In strength 3 the champion gets half of the images right, and the new model none."""
    mild, strong = answers(1, sets=BLUR[:2]), answers(100, sets=BLUR[2:])
    strong["champion_right"] = np.arange(200) < 100
    strong["correct"] = False

    changes = shift_changes(pd.concat([mild, strong]), RegisterParams(), plain_top1=1.0)
    extra = shift_changes(strong.assign(test_set="extra/phone"), RegisterParams(), plain_top1=1.0)

    assert [(one.strengths, one.holds) for one in changes] == [((1, 2), False)]
    assert [(one.name, one.holds) for one in extra] == [("extra/phone", True)]
    assert shift_changes(strong, RegisterParams(), plain_top1=1.0) == ()


def test_a_loss_that_is_certain_but_small_holds_nothing() -> None:
    changes = shift_changes(
        answers(15, n=2000, sets=("extra/phone",)), RegisterParams(), plain_top1=1.0
    )

    assert changes[0].p_adjusted < 1e-4
    assert no_shift_lost(changes).passed is True
    assert (
        no_shift_lost(changes).sentence
        == "none of 1 shifted test sets loses more than chance explains"
    )


def test_what_another_seed_costs_under_a_corruption_holds_nothing_and_on_an_extra_set_does() -> (
    None
):
    rows = answers(12, sets=(*BLUR, "extra/phone"))

    changes = shift_changes(rows, RegisterParams(), plain_top1=1.0)

    assert {one.name: one.holds for one in changes} == {
        "corrupted/blur": False,
        "extra/phone": True,
    }
    assert all(one.p_adjusted < 0.01 for one in changes)


def test_several_right_classes_renamed_classes_and_unknown_ones_are_told_apart() -> None:
    rows = pd.DataFrame(
        {
            "test_set": ["extra/real", "extra/real", "extra/real", "corrupted/fog/1"],
            "image_id": ["a", "b", "c", "d"],
            "label": [0, 0, 2, 1],
            "correct": True,
        }
    )
    extra = pd.DataFrame(
        {
            "image_id": ["a", "b", "c"],
            "test_set": "real",
            "class_ids": [["crimson", "green"], ["crimson"], ["new"]],
            "restricted": True,
        }
    )
    names = pd.Series(["crimson", "green", "new"])
    today = {"red": "crimson", "green": "green"}
    said = pd.Series(["green", "red", "green", "red"])

    found = joined(rows, said, extra, names, today)

    assert found["champion_right"].tolist() == [True, True, False, False]
    assert found["shared"].tolist() == [True, True, False, True]
    assert choices(extra, ("green", "gone", "red"), today) == {"extra/real": [0, 2]}


def latest_verdict(folder: Path) -> Verdict:
    return load_registry(Settings(), folder).versions()[-1].verdict


def test_a_model_that_is_lost_in_blur_is_held_and_says_so(checkout: Path) -> None:
    run(make_line(checkout).job())

    run(make_line(checkout, model="two", blurred_wrong=range(12)).job())

    verdict = latest_verdict(checkout)
    assert verdict.decision == "inconclusive"
    assert verdict.sentence == (
        "Held as challenger: beyond chance, accuracy on blurred images falls by 20.0 points, from 100.0 % to 80.0 % "
        "(60 images, strengths 1, 2, 3)."
    )
    assert [(one.name, one.holds) for one in verdict.shift_changes] == [
        ("corrupted/blur", True),
        ("corrupted/fog", False),
    ]


def never_shown(line: TinyLine) -> TinyLine:
    """The line with `evaluate.corruptions: []`."""
    SHIFTED.write(SHIFTED.empty(), line.path("shifted"))
    line.path("shift").write_text(line.path("shift").read_text().partition("\n")[0] + "\n")
    receive(line)
    return line


def test_a_champion_that_was_never_shown_them_is_shown_them_now_and_once(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A champion that was evaluated without corruptions: its export answers, and its answers are kept."""
    old = never_shown(with_betons(make_line(checkout)))
    run(old.job(loader="python", workers=1))
    for model in ("two", "three"):
        line = with_betons(make_line(checkout, model=model, blurred_wrong=range(12)))
        run(line.job(loader="python", workers=1))

    assert latest_verdict(checkout).sentence.startswith(
        "Held as challenger: beyond chance, accuracy on blurred images falls by 20.0 points"
    )
    assert caplog.text.count("showing a registered model 360 corrupted and extra images") == 1


def test_without_the_champions_bytes_there_is_a_note_and_no_hold(checkout: Path) -> None:
    run(never_shown(make_line(checkout)).job())
    export = load_registry(Settings(), checkout).champion()
    assert export is not None
    digest = export.model_md5
    (checkout / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).unlink()

    run(make_line(checkout, model="two", blurred_wrong=range(12)).job())

    verdict = latest_verdict(checkout)
    assert verdict.decision == "promote"
    assert any(
        note.startswith("not compared on corrupted images and extra test sets, as the champion")
        for note in verdict.notes
    )
