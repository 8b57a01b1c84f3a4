"""What a training aims at beside plain labels, read once: soft labels, a teacher, the sizes of the classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from pipeline_lib.harness.stage import StageRun
from pipeline_lib.train.objective import Objective, logit_offsets
from pipeline_lib.train.recipes import Recipe
from pipeline_lib.train.soft_labels import read_soft_labels
from pipeline_lib.train.teacher import Teacher, open_teacher


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
