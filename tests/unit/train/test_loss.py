"""The loss of a batch, against the sentence of the paper it comes from and against plain cross-entropy."""

import math

import pytest
import torch
from torch.nn import functional as F

from pipeline_lib.train.loss import Objective, logit_offsets

LOGITS_BK = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]])
LABELS_B = torch.tensor([0, 1])


def test_without_additions_it_is_cross_entropy_bit_for_bit() -> None:
    losses_B = Objective(label_smoothing=0.1).losses(LOGITS_BK, LABELS_B)

    assert torch.equal(
        losses_B, F.cross_entropy(LOGITS_BK, LABELS_B, label_smoothing=0.1, reduction="none")
    )


def test_a_soft_target_is_the_mean_of_the_losses_of_its_classes() -> None:
    """0.75 of class 0 and 0.25 of class 2."""
    plain = Objective()

    (loss,) = plain.losses(LOGITS_BK[:1], torch.tensor([[0.75, 0.0, 0.25]]))

    of_each = plain.losses(LOGITS_BK[:1].expand(3, 3), torch.arange(3))
    assert loss.item() == pytest.approx(0.75 * of_each[0].item() + 0.25 * of_each[2].item())


def test_a_certain_soft_target_weighs_what_its_label_weighs() -> None:
    objective = Objective(label_smoothing=0.1)

    soft_B = objective.losses(LOGITS_BK, F.one_hot(LABELS_B, 3).float())

    assert torch.allclose(soft_B, objective.losses(LOGITS_BK, LABELS_B))


def test_logit_adjustment_asks_for_a_margin_of_the_logarithm_of_how_much_more_frequent_a_class_is() -> (
    None
):
    """Two classes, 9 to 1, strength 1: at equal logits the frequent one already has probability 0.9."""
    offsets_K = logit_offsets(torch.tensor([9.0, 1.0]), strength=1.0)

    losses_B = Objective(offsets_K=offsets_K).losses(torch.zeros(2, 2), torch.tensor([0, 1]))

    assert losses_B.tolist() == pytest.approx([-math.log(0.9), -math.log(0.1)])


def test_logit_adjustment_changes_nothing_where_all_classes_weigh_the_same() -> None:
    offsets_K = logit_offsets(torch.tensor([5.0, 5.0, 5.0]), strength=1.0)

    adjusted_B = Objective(offsets_K=offsets_K).losses(LOGITS_BK, LABELS_B)

    assert torch.allclose(adjusted_B, Objective().losses(LOGITS_BK, LABELS_B))


def test_logit_adjustment_of_no_strength_is_none() -> None:
    assert logit_offsets(torch.tensor([9.0, 1.0]), strength=0.0) is None


def test_a_student_that_says_what_its_teacher_says_has_only_its_labels_to_learn() -> None:
    objective = Objective(teacher_share=0.9, temperature=4.0)

    losses_B = objective.losses(
        LOGITS_BK, LABELS_B, LOGITS_BK + 7
    )  # a constant changes no probability

    assert torch.allclose(losses_B, 0.1 * Objective().losses(LOGITS_BK, LABELS_B), atol=1e-5)


def test_the_teachers_part_has_the_same_slope_at_any_temperature_once_that_is_high() -> None:
    """Hinton et al. 2015, section 2.1: T^2 keeps it in proportion; in the limit it is (logits - teacher) / K."""
    logits_BK = torch.tensor([[1.0, 0.0, -1.0]], requires_grad=True)
    teacher_BK = torch.tensor([[-2.0, 1.0, 1.0]])

    Objective(teacher_share=1.0, temperature=1000.0).losses(
        logits_BK, torch.tensor([0]), teacher_BK
    ).sum().backward()  # type: ignore[no-untyped-call]

    assert logits_BK.grad is not None
    assert logits_BK.grad[0].tolist() == pytest.approx([1.0, -1 / 3, -2 / 3], abs=1e-2)
