"""The loss of a batch: cross-entropy, and what a training adds to it; and its mean over an epoch.

B images, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline_lib.errors import ConfigError
from pipeline_lib.loader import Batch
from pipeline_lib.train.distributed import sum_over_ranks
from pipeline_lib.train.soft_targets import SoftLabels, Teacher

LOOK_EVERY = 50  # steps between looks at the loss on a GPU: each look waits for it


@dataclass(frozen=True)
class Objective:
    """What the logits are pulled to. The defaults are plain cross-entropy.

    label_smoothing: share of a target spread over all classes, 0..1.
    offsets_K: float32, added to the logits in the loss alone: `logit_offsets`; None adds nothing.
    soft_labels: the images whose label is several classes with their probabilities; None where each has one class.
    teacher: the model whose answers are learnt too; teacher_share: share of the loss that follows them, 0..1;
    temperature: divides both sides' logits there, above 0.
    """

    label_smoothing: float = 0.0
    offsets_K: Tensor | None = None
    soft_labels: SoftLabels | None = None
    teacher: Teacher | None = None
    teacher_share: float = 0.0
    temperature: float = 1.0

    def targets(self, labels_B: Tensor, positions_B: Tensor) -> Tensor:
        """Training targets for these positions of the selection: labels_B, or probabilities_BK."""
        if self.soft_labels is None:
            return labels_B
        return self.soft_labels.targets(labels_B, positions_B)

    def teacher_logits(self, images_BHWC: Tensor) -> Tensor | None:
        """The teacher's logits_BK for these views; None without a teacher."""
        if self.teacher is None:
            return None
        return self.teacher.logits(images_BHWC)

    def losses(
        self, logits_BK: Tensor, targets: Tensor, teacher_BK: Tensor | None = None
    ) -> Tensor:
        """Compute the loss of each image, float32, nats.

        targets: labels (int64, of B) or probabilities (float, of B by K: soft labels, mixed images). teacher_BK: the
        teacher's logits for the same views; None learns from the targets alone. With them, the loss is Hinton, Vinyals
        and Dean's (2015, arXiv 1503.02531): share * T^2 * KL(teacher / T, logits / T) + (1 - share) * cross-entropy.
        """
        # In bfloat16 the softmax would stay bfloat16.
        logits_BK = logits_BK.float()
        adjusted_BK = logits_BK
        if self.offsets_K is not None:
            adjusted_BK = logits_BK + self.offsets_K
        by_label_B = F.cross_entropy(
            adjusted_BK, targets, label_smoothing=self.label_smoothing, reduction="none"
        )
        if teacher_BK is None:
            return by_label_B

        # The teacher's answers are about the images as they are, so nothing is added to the logits here.
        student_log_BK = F.log_softmax(logits_BK / self.temperature, dim=1)
        teacher_log_BK = F.log_softmax(teacher_BK.float() / self.temperature, dim=1)
        divergence_B = F.kl_div(
            student_log_BK, teacher_log_BK, reduction="none", log_target=True
        ).sum(1)
        return (
            self.teacher_share * self.temperature**2 * divergence_B
            + (1 - self.teacher_share) * by_label_B
        )


def logit_offsets(sizes_K: Tensor, *, strength: float) -> Tensor | None:
    """strength * log(share of the class), float32: what logit adjustment adds to the logits while training.

    sizes_K: the weight of each class in the loss, above 0. A network trained so answers as if all classes were equally
    frequent (Menon et al. 2021, arXiv 2007.07314, equation 10; strength is its tau). None for strength 0.
    """
    if strength == 0:
        return None
    shares_K = sizes_K.double() / sizes_K.double().sum()
    return strength * torch.log(shares_K).float()


def class_sizes(rows: pd.DataFrame, *, n_classes: int, sampling: str) -> Tensor:
    """The weight of each class in an epoch's loss, float32, 1 or more: the sum of its rows' weights.

    With balanced sampling a class is shown as often as any other, so only the mean weight of its rows counts. Logit
    adjustment on top of class weights or balanced sampling therefore corrects what they leave, and nothing twice.
    """
    labels_N = torch.tensor(rows["label"].to_numpy()).long()
    weights_N = torch.tensor(rows["weight"].to_numpy()).float()
    sizes_K = torch.zeros(n_classes).index_add(0, labels_N, weights_N)
    if sampling == "balanced":
        counts_K = torch.bincount(labels_N, minlength=n_classes).clamp(min=1)
        sizes_K = sizes_K / counts_K
        sizes_K = sizes_K * len(rows) / n_classes
    return sizes_K.clamp(min=1.0)


class EpochLoss:
    """The mean loss of an epoch; looks at the losses of several steps at once, for one that is not finite."""

    def __init__(
        self, device: torch.device, image_ids: Sequence[str], state: Sequence[float] = ()
    ) -> None:
        """state: of an epoch that was interrupted, from `state`."""
        self.look_every = 1 if device.type == "cpu" else LOOK_EVERY
        self.image_ids = image_ids
        total, n_images, n_steps = state or (0.0, 0, 0)
        self.total = total
        self.n_images = int(n_images)
        self.n_steps = int(n_steps)
        self.waiting: list[tuple[Tensor, Tensor]] = []  # loss and positions, not the images

    def add(self, loss: Tensor, batch: Batch) -> None:
        """Add one step's mean loss. Raises ConfigError as `mean` does."""
        self.waiting.append((loss.detach(), batch.positions_B))
        if len(self.waiting) >= self.look_every:
            self._look()

    def state(self) -> list[float]:
        """What an interrupted epoch needs: total loss, images and steps. Raises ConfigError as `mean` does."""
        self._look()
        return [self.total, self.n_images, self.n_steps]

    @property
    def so_far(self) -> float:
        """Mean loss per image of the steps that were looked at, nats."""
        return self.total / max(self.n_images, 1)

    def mean(self) -> float:
        """Mean loss per image of all steps of all processes, nats.

        Raises ConfigError with step and images if one is not finite.
        """
        self._look()
        total, n_images = sum_over_ranks([self.total, self.n_images])
        return total / max(n_images, 1)

    def _look(self) -> None:
        if not self.waiting:
            return
        # One transfer for all steps that wait.
        losses = torch.stack([loss for loss, _ in self.waiting]).tolist()
        for loss, (_, positions_B) in zip(losses, self.waiting, strict=True):
            self.n_steps += 1
            if not math.isfinite(loss):
                images = ", ".join(
                    self.image_ids[position] for position in positions_B[:3].tolist()
                )
                found = f"loss {loss} at step {self.n_steps} of the epoch, images {images}, ..."
                raise ConfigError(
                    "the training diverged",
                    file="params.yaml",
                    value=found,
                    remedy="lower train.peak_learning_rate; a tenth of it is a good first try",
                )
            self.total += loss * len(positions_B)
            self.n_images += len(positions_B)
        self.waiting.clear()
