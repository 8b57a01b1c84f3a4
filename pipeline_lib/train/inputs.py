"""Everything that a training reads, read and checked once: tables, starting weights, teacher. K classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from pipeline_lib.errors import BadData
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.networks.build import build_network, check_side, normalisation
from pipeline_lib.networks.classifier import Classifier, Triple
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.tables.soft_labels import SOFT_LABELS
from pipeline_lib.tables.unlabelled import UNLABELLED
from pipeline_lib.train.initial_weights import StartingWeights, read_starting_weights, start_from
from pipeline_lib.train.loss import Objective, class_sizes, logit_offsets
from pipeline_lib.train.params import TrainParams
from pipeline_lib.train.recipes import RECIPES, Recipe
from pipeline_lib.train.soft_targets import Teacher, read_teacher, soft_labels_of


@dataclass(frozen=True)
class Selected:
    """The rows of the selection: image_id, label, class_id, weight; those without a label have an image_id alone."""

    train: pd.DataFrame
    val: pd.DataFrame
    unlabelled: pd.DataFrame


@dataclass(frozen=True)
class TrainingInputs:
    """What every step of the stage is handed. classes: classes.csv, K rows; soft_labels: rows of its table."""

    job: StageRun[TrainParams]
    device: torch.device
    classes: pd.DataFrame
    selected: Selected
    soft_labels: pd.DataFrame
    starting_weights: StartingWeights | None
    teacher: Teacher | None

    @property
    def params(self) -> TrainParams:
        """The numbers of this training."""
        params: TrainParams = self.job.params
        return params

    def starting_model(self) -> Classifier:
        """The model as training begins with it: fresh from torch's random state, or with the starting weights."""
        network = _network(self.params, n_classes=len(self.classes))
        if self.starting_weights is not None:
            start_from(network, self.starting_weights)
        return self._classifier(network)

    def model_to_fill(self) -> Classifier:
        """A model whose weights are still to be put in."""
        return self._classifier(_network(self.params, n_classes=len(self.classes)))

    def _classifier(self, network: nn.Module) -> Classifier:
        # As the images come: a fifth less time, also on a CPU.
        network.to(memory_format=torch.channels_last)
        mean, std = _mean_and_std(self.params, network)
        return Classifier(
            network,
            mean=mean,
            std=std,
            name=self.params.network,
        ).to(self.device)

    def objective(self, recipe: Recipe, rows: pd.DataFrame) -> Objective:
        """The loss of a training on these rows (image_id, label, weight)."""
        soft_labels = soft_labels_of(
            self.soft_labels,
            image_ids=rows["image_id"],
            classes=self.classes["class_id"],
            device=self.device,
        )
        # Logit adjustment needs the sizes of the classes among these very rows.
        sizes_K = class_sizes(rows, n_classes=len(self.classes), sampling=recipe.sampling)
        offsets_K = logit_offsets(sizes_K, strength=recipe.logit_adjustment)
        return Objective(
            label_smoothing=recipe.label_smoothing,
            offsets_K=None if offsets_K is None else offsets_K.to(self.device),
            soft_labels=soft_labels,
            teacher=self.teacher,
            teacher_share=recipe.teacher_share,
            temperature=recipe.teacher_temperature,
        )

    def parent(self) -> dict[str, str] | None:
        """What model.json says of the models that this one was made from; None for none."""
        parent: dict[str, str] = {}
        if self.starting_weights is not None:
            parent |= self.starting_weights.as_record()
        if self.params.teacher_sha256:
            parent["teacher_sha256"] = self.params.teacher_sha256
        return parent or None


def read_inputs(
    job: StageRun[TrainParams], selected: Selected, device: torch.device
) -> TrainingInputs:
    """Read what else a training needs. Raises SourceMissing, ConfigError or BadData for what cannot be used."""
    classes = read_classes(job.reads["classes"])
    return TrainingInputs(
        job=job,
        device=device,
        classes=classes,
        selected=selected,
        soft_labels=SOFT_LABELS.read(job.reads["selection"] / "soft_labels.parquet"),
        starting_weights=read_starting_weights(job),
        teacher=read_teacher(job, list(classes["class_id"]), device),
    )


def read_selected(job: StageRun[TrainParams]) -> Selected:
    """Read the selection. Raises BadData when there is nothing to train or validate on, or only one class."""
    folder = job.reads["selection"]
    train = _read_rows(folder / "train.parquet", least=2, purpose="train")
    val = _read_rows(folder / "val.parquet", least=1, purpose="validate")
    if train["label"].nunique() < 2:
        raise BadData(
            "the training images are all of one class",
            file=folder / "train.parquet",
            remedy="give the source a second class; one class leaves nothing to learn",
        )
    unlabelled = UNLABELLED.read(folder / "unlabelled.parquet")
    return Selected(
        train=train,
        val=val,
        unlabelled=unlabelled,
    )


def _read_rows(path: Path, *, least: int, purpose: str) -> pd.DataFrame:
    rows = SELECTION.read(path)
    if len(rows) < least:
        raise BadData(
            f"too few images to {purpose} on",
            file=path,
            value=f"{len(rows)} rows",
            remedy="add images to the source, or see in line/curate/curation.json why they were left out",
        )
    return rows


def _network(params: TrainParams, *, n_classes: int) -> nn.Module:
    """Build the network, which must take every size that training shows it."""
    network = build_network(
        params.network,
        n_classes=n_classes,
        side_px=params.side_px,
        auxiliary=True,
    )
    for side_px in {*params.training_sides()} - {params.side_px}:
        check_side(network, params.network, n_classes=n_classes, side_px=side_px)
    return network


def _mean_and_std(params: TrainParams, network: nn.Module) -> tuple[Triple, Triple]:
    """The normalisation that params.yaml sets; else the network's published one; else the recipe's."""
    # A person's numbers differ from the recipe's.
    own = (params.mean, params.std)
    recipe = RECIPES[params.recipe]
    if own != (recipe.mean, recipe.std):
        return own
    return normalisation(network) or own
