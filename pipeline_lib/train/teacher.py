"""A trained model whose answers another one learns. B pictures, H x W pixels, K classes of the student."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline_lib.errors import ConfigError, SourceMissing
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.model_file import read_model_file
from pipeline_lib.networks.weights import NAME, load_weights
from pipeline_lib.registry import open_registry
from pipeline_lib.train.params import REGISTERED


@dataclass(frozen=True)
class Teacher:
    """model: as it evaluates. output_K: which of its outputs stands for each class of the student."""

    model: Classifier
    output_K: Tensor
    side_px: int

    @torch.no_grad()
    def logits(self, images_BHWC: Tensor) -> Tensor:
        """Its logits_BK for the very views that the student sees, brought to its own size.

        Beyer et al. 2022 (arXiv 2106.05237): a teacher that sees another crop than the student teaches less.
        """
        if images_BHWC.shape[1] != self.side_px:
            images_BCHW = images_BHWC.permute(0, 3, 1, 2).float()
            size = (self.side_px, self.side_px)
            images_BHWC = F.interpolate(images_BCHW, size, mode="bilinear", antialias=True).permute(0, 2, 3, 1)
        logits_BK: Tensor = self.model(images_BHWC)[:, self.output_K]
        return logits_BK


def open_teacher(job: StageRun, classes: list[str], device: torch.device) -> Teacher | None:
    """The model that train.teacher names, its outputs in the order of `classes`; None where it names none.

    Raises SourceMissing when it is not there, ConfigError when it is another than teacher_sha256 says or does not know
    a class, BadData when it is damaged.
    """
    name: str | None = job.params.teacher
    if name is None:
        return None
    if name.startswith(REGISTERED):
        registry = open_registry(job.settings, job.checkout)
        folder = registry.export_folder(registry.version(name.removeprefix(REGISTERED)))
    else:
        folder = job.settings.origin(job.checkout) / name
    _check_digest(folder / NAME, job.params.teacher_sha256)
    about = read_model_file(folder)
    unknown = [name for name in classes if name not in about.classes]
    if unknown:
        what, value = f"the teacher does not know {len(unknown)} of {len(classes)} classes", ", ".join(unknown[:3])
        remedy = "choose a train.teacher that was trained on all of them, or leave it out"
        raise ConfigError(what, file=folder, value=value, remedy=remedy)
    network = build_network(about.network, n_classes=len(about.classes), side_px=about.side_px)
    load_weights(network, folder)
    network.to(memory_format=torch.channels_last)
    model = Classifier(network, mean=about.mean, std=about.std).to(device).eval().requires_grad_(False)
    output_K = torch.tensor([about.classes.index(name) for name in classes], device=device)
    return Teacher(model, output_K, about.side_px)


def _check_digest(file: Path, wanted: str | None) -> None:
    if not file.is_file():
        remedy = "name a folder with model.json and model.safetensors, as line/train/weights is, or registered:3"
        raise SourceMissing("train.teacher: no such model", file=file, remedy=remedy)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != wanted:
        remedy = f"if this is the teacher you mean, set train.teacher_sha256 to {found}"
        raise ConfigError("train.teacher_sha256 is of another teacher", file=file, value=found, remedy=remedy)
