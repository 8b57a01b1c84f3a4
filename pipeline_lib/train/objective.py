"""The loss of a batch: cross-entropy, and what a training adds to it. B pictures, K classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline_lib.train.soft_labels import SoftLabels
from pipeline_lib.train.teacher import Teacher


@dataclass(frozen=True)
class Objective:
    """What the logits are pulled to. The defaults are plain cross-entropy.

    label_smoothing: share of a target spread over all classes, 0..1.
    offsets_K: float32, added to the logits in the loss alone: `logit_offsets`; None adds nothing.
    soft: the pictures whose label is several classes with their probabilities; None where every one has one class.
    teacher: the model whose answers are learnt too; teacher_share: 0..1, of the loss that asks for them; temperature:
    by which both sides' logits are divided there, above 0.
    """

    label_smoothing: float = 0.0
    offsets_K: Tensor | None = None
    soft: SoftLabels | None = None
    teacher: Teacher | None = None
    teacher_share: float = 0.0
    temperature: float = 1.0

    def targets(self, labels_B: Tensor, positions_B: Tensor) -> Tensor:
        """What the pictures at these positions of the selection are to be called: labels, or probabilities."""
        return labels_B if self.soft is None else self.soft.targets(labels_B, positions_B)

    def teacher_logits(self, images_BHWC: Tensor) -> Tensor | None:
        """The teacher's logits_BK for these views, where there is one."""
        return None if self.teacher is None else self.teacher.logits(images_BHWC)

    def losses(self, logits_BK: Tensor, targets: Tensor, teacher_BK: Tensor | None = None) -> Tensor:
        """The loss of each picture, float32, nats.

        targets: labels (int64, of B) or probabilities (float, of B by K: soft labels, mixed pictures). teacher_BK: a
        teacher's logits for the same views; None learns from the targets alone. With one, the loss is Hinton, Vinyals
        and Dean's (2015, arXiv 1503.02531): share * T^2 * KL(teacher / T, logits / T) + (1 - share) * cross-entropy.
        """
        logits_BK = logits_BK.float()  # of bfloat16, whose softmax would stay so
        adjusted_BK = logits_BK if self.offsets_K is None else logits_BK + self.offsets_K
        losses_B = F.cross_entropy(adjusted_BK, targets, label_smoothing=self.label_smoothing, reduction="none")
        if teacher_BK is None:
            return losses_B
        said_BK, wanted_BK = (
            F.log_softmax(logits / self.temperature, dim=1) for logits in (logits_BK, teacher_BK.float())
        )
        apart_B = F.kl_div(said_BK, wanted_BK, reduction="none", log_target=True).sum(1)
        return self.teacher_share * self.temperature**2 * apart_B + (1 - self.teacher_share) * losses_B


def logit_offsets(sizes_K: Tensor, *, strength: float) -> Tensor | None:
    """strength * log(share of the class), float32: what logit adjustment adds to the logits while training.

    sizes_K: what each class weighs in the loss, above 0. A network trained so answers as if all classes were equally
    frequent (Menon et al. 2021, arXiv 2007.07314, equation 10; strength is its tau). None for strength 0.
    """
    if strength == 0:
        return None
    return strength * torch.log(sizes_K.double() / sizes_K.double().sum()).float()
