"""The loss of a batch: cross-entropy, and what a training adds to it. B pictures, K classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline_lib.errors import ConfigError
from pipeline_lib.loader import Batch
from pipeline_lib.stage import StageRun
from pipeline_lib.train.distributed import sums
from pipeline_lib.train.recipes import Recipe
from pipeline_lib.train.soft_targets import SoftLabels, Teacher, open_teacher, read_soft_labels


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


@dataclass(frozen=True)
class Aims:
    """classes: classes.csv, K rows. soft_labels: the file. The rest as in Objective."""

    classes: pd.DataFrame
    soft_labels: Path
    teacher: Teacher | None
    device: torch.device

    def objective(self, recipe: Recipe, rows: pd.DataFrame) -> Objective:
        """The loss of a training on these rows (image_id, label, weight). Raises BadData."""
        soft = read_soft_labels(
            self.soft_labels, image_ids=rows["image_id"], classes=self.classes["class_id"], device=self.device
        )
        sizes_K = class_sizes(rows, n_classes=len(self.classes), sampling=recipe.sampling)
        offsets_K = logit_offsets(sizes_K, strength=recipe.logit_adjustment)
        return Objective(
            label_smoothing=recipe.label_smoothing,
            offsets_K=None if offsets_K is None else offsets_K.to(self.device),
            soft=soft,
            teacher=self.teacher,
            teacher_share=recipe.teacher_share,
            temperature=recipe.teacher_temperature,
        )


def read_aims(job: StageRun, classes: pd.DataFrame, device: torch.device) -> Aims:
    """Raises SourceMissing, ConfigError or BadData for a teacher that cannot be used."""
    teacher = open_teacher(job, list(classes["class_id"]), device)
    return Aims(classes, job.reads["selection"] / "soft_labels.parquet", teacher, device)


def class_sizes(rows: pd.DataFrame, *, n_classes: int, sampling: str) -> torch.Tensor:
    """What each class weighs in an epoch's loss, float32, 1 or more: the sum of its rows' weights.

    With balanced sampling a class is shown as often as any other, so only the mean weight of its rows counts. Logit
    adjustment on top of class weights or balanced sampling therefore corrects what they leave, and nothing twice.
    """
    labels, weights = torch.tensor(rows["label"].to_numpy()).long(), torch.tensor(rows["weight"].to_numpy())
    sums_K = torch.zeros(n_classes).index_add(0, labels, weights.float())
    if sampling == "balanced":
        sums_K = sums_K / torch.bincount(labels, minlength=n_classes).clamp(min=1)
        sums_K = sums_K * len(rows) / n_classes
    return sums_K.clamp(min=1.0)


LOOK_EVERY = 50  # steps between looks on a GPU: each makes it wait


class Losses:
    """Collects the loss of each step and looks at several at once."""

    def __init__(self, device: torch.device, image_ids: Sequence[str], state: Sequence[float] = ()) -> None:
        """state: of an epoch that was interrupted, from `state`."""
        self.every, self.image_ids = 1 if device.type == "cpu" else LOOK_EVERY, image_ids
        self.total, images, steps = state or (0.0, 0, 0)
        self.images, self.steps = int(images), int(steps)
        self.waiting: list[tuple[torch.Tensor, torch.Tensor]] = []  # loss and positions, not the pictures

    def add(self, loss: torch.Tensor, batch: Batch) -> None:
        """Take the mean loss of one step. Raises ConfigError as `mean` does."""
        self.waiting.append((loss.detach(), batch.positions_B))
        if len(self.waiting) >= self.every:
            self._look()

    def state(self) -> list[float]:
        """What an epoch needs to go on: total loss, images and steps. Raises ConfigError as `mean` does."""
        self._look()
        return [self.total, self.images, self.steps]

    @property
    def so_far(self) -> float:
        """Mean loss per image of the steps that were looked at, nats."""
        return self.total / max(self.images, 1)

    def mean(self) -> float:
        """Mean loss per image of all steps of all processes, nats.

        Raises ConfigError with step and pictures if one is not finite.
        """
        self._look()
        total, images = sums([self.total, self.images])
        return total / max(images, 1)

    def _look(self) -> None:
        values = torch.stack([loss for loss, _ in self.waiting]).tolist() if self.waiting else []
        for value, (_, positions_B) in zip(values, self.waiting, strict=True):
            self.steps += 1
            if not math.isfinite(value):
                images = ", ".join(self.image_ids[position] for position in positions_B[:3].tolist())
                found = f"loss {value} at step {self.steps} of the epoch, pictures {images}, ..."
                remedy = "lower train.peak_learning_rate; a tenth of it is a good first try"
                raise ConfigError("the training diverged", file="params.yaml", value=found, remedy=remedy)
            self.total += value * len(positions_B)
            self.images += len(positions_B)
        self.waiting.clear()
