"""Targets that are no single class: probabilities from votes, and the answers of a trained model.

B images, H x W pixels, K classes of the model that learns.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline_lib.errors import ConfigError, SourceMissing
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.model_file import read_model_file
from pipeline_lib.networks.saved_weights import WEIGHTS_FILE, load_weights
from pipeline_lib.registry import load_registry
from pipeline_lib.train.params import REGISTERED, TrainParams


@dataclass(frozen=True)
class SoftLabels:
    """The images whose label is several classes: of N training images M have probabilities, the others their label.

    probabilities_MK: float32, rows add up to 1. row_N: int64, by position in the selection; -1: none.
    """

    probabilities_MK: Tensor
    row_N: Tensor

    def targets(self, labels_B: Tensor, positions_B: Tensor) -> Tensor:
        """float32 targets_BK of the images at these positions."""
        # -1 would index the last row, so it is clamped and then not taken.
        row_B = self.row_N[positions_B]
        certain_BK = F.one_hot(labels_B, self.probabilities_MK.shape[1]).float()
        voted_BK = self.probabilities_MK[row_B.clamp(min=0)]
        return torch.where(row_B[:, None] >= 0, voted_BK, certain_BK)


def soft_labels_of(
    table: pd.DataFrame, *, image_ids: pd.Series, classes: pd.Series, device: torch.device
) -> SoftLabels | None:
    """The soft labels of the images `image_ids` (by position), columns in the order of `classes` (class_ids).

    table: rows of soft_labels.parquet; None where it has none.
    """
    if table.empty:
        return None
    # From one row per named class to one row per image; the columns in the order of the outputs.
    by_class = table.set_index(["image_id", "class_id"])["probability"]
    named = by_class.unstack()  # noqa: PD010 - each pair comes once
    probabilities_MK = spread_rest(named.reindex(columns=classes).to_numpy(np.float64))
    row_N = named.index.get_indexer(pd.Index(image_ids))
    return SoftLabels(
        probabilities_MK=torch.tensor(probabilities_MK, dtype=torch.float32, device=device),
        row_N=torch.tensor(row_N, device=device),
    )


def spread_rest(named_MK: np.ndarray) -> np.ndarray:
    """Fill what is NaN: classes that nobody named share the rest evenly. The rows add up to 1."""
    # Rounding may take a sum a little above 1.
    is_unnamed_MK = np.isnan(named_MK)
    rest_M = np.clip(1 - np.nansum(named_MK, axis=1), 0, 1)
    each_M = rest_M / np.maximum(is_unnamed_MK.sum(axis=1), 1)
    filled_MK = np.where(is_unnamed_MK, each_M[:, None], named_MK)
    sums_M = filled_MK.sum(axis=1, keepdims=True)
    return np.asarray(filled_MK / sums_M)


@dataclass(frozen=True)
class Teacher:
    """A trained model whose answers another one learns, as it evaluates.

    output_K: which of its outputs stands for each class of the model that learns.
    """

    model: Classifier
    output_K: Tensor
    side_px: int

    @torch.no_grad()
    def logits(self, images_BHWC: Tensor) -> Tensor:
        """Its logits_BK for the very views that the student sees, resized to its own input.

        Beyer et al. 2022 (arXiv 2106.05237): a teacher that sees another crop than the student teaches less.
        """
        if images_BHWC.shape[1] != self.side_px:
            images_BCHW = images_BHWC.permute(0, 3, 1, 2).float()
            size = (self.side_px, self.side_px)
            resized_BCHW = F.interpolate(images_BCHW, size, mode="bilinear", antialias=True)
            images_BHWC = resized_BCHW.permute(0, 2, 3, 1)
        logits_BK: Tensor = self.model(images_BHWC)[:, self.output_K]
        return logits_BK


def read_teacher(
    job: StageRun[TrainParams], classes: list[str], device: torch.device
) -> Teacher | None:
    """Read the model that train.teacher names, its outputs in the order of `classes`; None where it names none.

    Raises SourceMissing when it is not there, ConfigError when its digest is not teacher_sha256 or it does not know a
    class, BadData when it is damaged.
    """
    params = job.params
    if params.teacher is None:
        return None
    folder = _teacher_folder(params.teacher, job)
    _check_digest(folder / WEIGHTS_FILE, params.teacher_sha256)

    # Its outputs may be more classes than ours, in another order.
    about = read_model_file(folder)
    unknown = [name for name in classes if name not in about.classes]
    if unknown:
        raise ConfigError(
            f"the teacher does not know {len(unknown)} of {len(classes)} classes",
            file=folder,
            value=", ".join(unknown[:3]),
            remedy="choose a train.teacher that was trained on all of them, or leave it out",
        )
    output_K = torch.tensor([about.classes.index(name) for name in classes], device=device)

    # It evaluates only, and nothing in it trains.
    network = build_network(about.network, n_classes=len(about.classes), side_px=about.side_px)
    load_weights(network, folder)
    network.to(memory_format=torch.channels_last)
    model = Classifier(network, mean=about.mean, std=about.std).to(device)
    model.eval().requires_grad_(False)
    return Teacher(
        model=model,
        output_K=output_K,
        side_px=about.side_px,
    )


def _teacher_folder(name: str, job: StageRun[TrainParams]) -> Path:
    if name.startswith(REGISTERED):
        registry = load_registry(job.settings, job.checkout)
        return registry.export_folder(registry.version(name.removeprefix(REGISTERED)))
    folder: Path = job.settings.origin(job.checkout) / name
    return folder


def _check_digest(file: Path, wanted: str | None) -> None:
    if not file.is_file():
        raise SourceMissing(
            "train.teacher: no such model",
            file=file,
            remedy="name a folder with model.json and model.safetensors, as line/train/weights is, or registered:3",
        )
    # Another teacher would be another training.
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != wanted:
        raise ConfigError(
            "train.teacher_sha256 is of another teacher",
            file=file,
            value=found,
            remedy=f"if this is the teacher you mean, set train.teacher_sha256 to {found}",
        )
