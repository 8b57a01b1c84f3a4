import dataclasses

import numpy as np
import pandas as pd
import pytest

from pipeline_lib.register.gate import Champion, Evaluation, judge, not_worse, same_model
from pipeline_lib.register.paired import class_changes, compare, holm, mcnemar_loss
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.registry import Verdict
from pipeline_lib.registry.verdict import verdict_from_json

IDS = [f"s/{i:03d}.png" for i in range(400)]
LABELS = np.arange(400) % 4
PARITY = {"n": 400, "argmax_agreement": 1.0, "max_abs_dp": 1e-6}


def evaluation(wrong: int = 4, *, parity: dict[str, float] = PARITY, train_id: str = "s/train.png") -> Evaluation:
    """400 test pictures of 4 classes, the first `wrong` of them answered wrongly."""
    right = np.arange(400) >= wrong
    predictions = pd.DataFrame({"image_id": IDS, "split": "test", "correct": right, "p_label": 0.9})
    test = pd.DataFrame({"image_id": IDS, "class_id": LABELS.astype(str), "label": LABELS})
    one = pd.DataFrame({"image_id": [train_id], "class_id": ["0"], "label": [0]})
    val = one.assign(image_id="s/val.png")
    return Evaluation(predictions, {"train": one, "val": val, "test": test}, parity)


def champion(wrong: range | list[int]) -> Champion:
    said = np.where(np.isin(np.arange(400), wrong), "other", LABELS.astype(str))
    return Champion(7, pd.Series(said, index=IDS))


def verdict(
    new: Evaluation,
    old: Champion | None,
    *,
    min_top1: float = 0.0,
    candidate: bool = False,
    rolled_back: str | None = None,
) -> Verdict:
    return judge(new, RegisterParams(min_top1=min_top1), champion=old, candidate=candidate, rolled_back=rolled_back)


def simulated_comparison(n: int, discordant: float, change: float, random: np.random.Generator) -> str:
    """One gate on n pictures of which a share is in dispute, with a true change of top-1."""
    b = random.random(n) < (discordant - change) / 2
    c = ~b & (random.random(n) < (discordant + change) / 2 / (1 - (discordant - change) / 2))
    rule = not_worse(compare(~c, ~b, champion_version=1, smallest_margin=0.005))
    return {True: "promote", False: "reject", None: "inconclusive"}[rule.passed]


@pytest.mark.parametrize(
    ("n", "discordant", "change", "promote", "reject"),
    [
        (360, 0.04, -0.0224, 0.06, 0.70),
        (360, 0.02, 0.0, 0.88, 0.03),
        (2000, 0.03, -0.0095, 0.05, 0.79),
        (10_000, 0.04, -0.005, 0.05, 0.80),
        (10_000, 0.04, 0.0, 0.80, 0.05),
    ],
)
def test_the_gate_errs_as_rarely_as_was_measured(
    n: int, discordant: float, change: float, promote: float, reject: float
) -> None:
    random = np.random.default_rng(1)

    found = [simulated_comparison(n, discordant, change, random) for _ in range(400)]

    assert found.count("promote") / 400 == pytest.approx(promote, abs=0.07)
    assert found.count("reject") / 400 == pytest.approx(reject, abs=0.12)


def test_the_interval_adds_half_a_picture_to_each_side() -> None:
    """b = 6, c = 1, N = 360: d = -5 / 362, se = sqrt(8 - 25 / 362) / 362."""
    old, new = np.ones(360, bool), np.ones(360, bool)
    new[:6], old[6] = False, False

    found = compare(old, new, champion_version=3, smallest_margin=0.005)

    assert (found.n_only_champion, found.n_only_challenger) == (6, 1)
    assert found.delta == pytest.approx(-5 / 362)
    assert found.high - found.delta == pytest.approx(1.6448536 * (8 - 25 / 362) ** 0.5 / 362)
    assert found.margin == pytest.approx(3 * (0.02 / 360) ** 0.5)


def test_from_7200_pictures_on_half_a_point_is_the_margin() -> None:
    flags = np.ones(7200, bool)

    found = compare(flags, flags, champion_version=1, smallest_margin=0.005)

    assert found.margin == pytest.approx(0.005)


def test_mcnemar_is_the_binomial_tail() -> None:
    """b = 6, c = 1: (C(7,6) + C(7,7)) / 2^7 = 8 / 128."""
    assert mcnemar_loss([6, 0, 0], [1, 0, 4]) == pytest.approx([8 / 128, 1.0, 1.0])


def test_holm_multiplies_by_what_is_left_and_never_falls() -> None:
    """Holm 1979: sorted p times 4, 3, 2, 1, made monotone."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_class_that_breaks_down_blocks_and_chance_does_not() -> None:
    names = ["a"] * 100 + ["b"] * 100
    old, new = np.ones(200, bool), np.ones(200, bool)
    new[:12], new[100:102] = False, False

    worst, other = class_changes(names, old, new, significance=0.05, class_loss=0.02, small_class_images=20)

    assert (worst.name, worst.blocks, other.name, other.blocks) == ("a", True, "b", False)
    assert worst.change == pytest.approx(-0.12)


def test_small_classes_are_tested_together() -> None:
    names = [f"rare{i // 5}" for i in range(50)] + ["common"] * 50

    found = class_changes(
        names, np.ones(100, bool), np.ones(100, bool), significance=0.05, class_loss=0.02, small_class_images=20
    )

    assert {(change.name, change.n_images) for change in found} == {("(small classes together)", 50), ("common", 50)}


def test_the_first_sound_model_is_promoted() -> None:
    found = verdict(evaluation(), None)

    assert found.decision == "promote"
    assert "top-1 99.0 %; the floor is 25.0 % (the largest class alone)" in found.sentence


def test_an_equal_model_takes_the_champions_place() -> None:
    found = verdict(evaluation(4), champion(range(4)))

    assert found.decision == "promote"
    assert found.comparison is not None
    assert found.comparison.delta == 0


def test_a_clearly_worse_model_is_refused() -> None:
    found = verdict(evaluation(40), champion(range(4)))

    assert found.decision == "reject"
    assert found.sentence.startswith("Refused: not worse than the champion failed: top-1 changes by −9.0 points")


def test_a_difference_that_cannot_be_told_is_held() -> None:
    found = verdict(evaluation(9), champion([0, *range(20, 24)]))

    assert found.decision == "inconclusive"
    assert "not worse than the champion is undecided" in found.sentence


def test_answers_of_the_champion_are_matched_by_image_id_and_not_by_position() -> None:
    old = champion(range(4))
    assert old.answers is not None
    shuffled = dataclasses.replace(old, answers=old.answers.sample(frac=1, random_state=0))

    assert verdict(evaluation(4), shuffled) == verdict(evaluation(4), old)


def test_a_class_the_champion_never_knew_counts_as_its_mistake() -> None:
    found = verdict(evaluation(0), champion(list(np.flatnonzero(LABELS == 3))))

    assert found.comparison is not None
    assert found.comparison.n_only_challenger == 100


def test_a_model_below_the_floor_is_refused() -> None:
    found = verdict(evaluation(100), None, min_top1=0.9)

    assert found.decision == "reject"
    assert (
        "better than the floor failed: top-1 75.0 %; the floor is 90.0 % (register.min_top1 is 90.0 %)"
        in found.sentence
    )


def test_saying_the_largest_class_is_not_enough() -> None:
    assert verdict(evaluation(300), None).decision == "reject"


def test_a_test_picture_that_was_trained_on_refuses_the_model() -> None:
    found = verdict(evaluation(train_id=IDS[0]), None)

    assert "tested on unseen pictures failed: 1 test pictures were trained or chosen on" in found.sentence


def test_a_missing_answer_refuses_the_model() -> None:
    new = evaluation()

    found = verdict(dataclasses.replace(new, predictions=new.predictions.iloc[1:]), None)

    assert "every test picture once failed: 399 of 400 pictures answered" in found.sentence


def test_an_export_that_answers_otherwise_refuses_the_model() -> None:
    found = verdict(evaluation(parity={**PARITY, "argmax_agreement": 0.99}), None)

    assert "export equals the network failed: ONNX gives the same answer on 99.0 % of 400 pictures" in found.sentence


def test_a_candidate_is_never_promoted() -> None:
    found = verdict(evaluation(), None, candidate=True)

    assert found.decision == "candidate"
    assert "an experiment is never promoted" in found.sentence


def test_weights_that_were_rolled_back_wait_for_a_person() -> None:
    found = verdict(evaluation(), champion(range(4)), rolled_back="it took sevens for ones")

    assert found.decision == "inconclusive"
    assert "these weights were rolled back before: it took sevens for ones" in found.sentence


def test_a_champion_that_cannot_be_asked_makes_the_verdict_provisional() -> None:
    silent = Champion(7, None, "version 7 cannot be asked: not in the cache; `dvc fetch --all-tags`")

    found = verdict(evaluation(), silent)

    assert (found.decision, found.provisional) == ("inconclusive", True)
    assert "`dvc fetch --all-tags`" in found.sentence


def test_a_verdict_survives_the_way_through_the_registry() -> None:
    for found in (verdict(evaluation(9), champion(range(4))), same_model(3)):
        assert verdict_from_json(found.as_json()) == found
