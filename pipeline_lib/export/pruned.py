"""A narrower network: the least important channels are cut out, and the rest learns to answer as the whole did."""

from __future__ import annotations

import copy
import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from pipeline_lib.errors import BadData
from pipeline_lib.evaluate.export import export_onnx
from pipeline_lib.harness.progress import Meter
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Calibrated, Classifier
from pipeline_lib.networks.exported import ONNX_FILE
from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.networks.saved_weights import load_weights

log = logging.getLogger(__name__)
SOFTENED = 2.0  # the temperature of both answers in the loss: small probabilities tell more then
PEAK_LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-4
MOST_NORM = 1.0  # of the gradient: the first steps after the cut are wild


@dataclass(frozen=True)
class TrainingViews:
    """n_batches: in an epoch. epoch: its number -> its batches, uint8 images_BHWC."""

    n_batches: int
    epoch: Callable[[int], Iterator[torch.Tensor]]


def pruned(
    received: Path,
    about: ModelFile,
    views: TrainingViews,
    *,
    share: float,
    epochs: int,
    progress_every_s: float,
) -> bytes:
    """Cut `share` (0..1) of the channels of every layer, fine-tune, and return the ONNX of what is left.

    Channels that depend on each other go together, those with the smallest weights first (G. Fang et al., "DepGraph:
    Towards Any Structural Pruning", CVPR 2023, arXiv 2301.12900; package torch-pruning). The classes stay. The loss is
    the divergence from the whole network's answers to the same views (Hinton, Vinyals, Dean 2015, arXiv 1503.02531), so
    wrong labels do no harm. received: an export folder.

    Raises BadData for a network whose layers cannot be cut.
    """
    torch.manual_seed(0)
    network = build_network(about.network, n_classes=len(about.classes), side_px=about.side_px)
    load_weights(network, received)
    teacher = _classifier(copy.deepcopy(network), about).eval()
    student = _classifier(_cut(network, about, share), about)
    meter = Meter("fine-tune", "batches", epochs * views.n_batches, progress_every_s)
    _fine_tune(student, teacher, views, epochs=epochs, meter=meter)
    assert about.temperature is not None, "an export without a temperature"
    with tempfile.TemporaryDirectory() as folder:
        calibrated = Calibrated(student, temperature=about.temperature)
        export_onnx(calibrated, Path(folder), side_px=about.side_px)
        return Path(folder, ONNX_FILE).read_bytes()


def _classifier(network: nn.Module, about: ModelFile) -> Classifier:
    return Classifier(network, mean=about.mean, std=about.std, name=about.network)


def _cut(network: nn.Module, about: ModelFile, share: float) -> nn.Module:
    import torch_pruning

    n_before = _n_weights(network)
    network.eval()
    example = torch.zeros(1, 3, about.side_px, about.side_px)
    heads = [
        layer
        for layer in network.modules()
        if isinstance(layer, nn.Linear) and layer.out_features == len(about.classes)
    ]
    try:
        torch_pruning.pruner.BasePruner(
            network,
            example,
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=1),
            pruning_ratio=share,
            ignored_layers=heads,
        ).step()
        n_answers = network(example).shape[1]
    except Exception as error:
        raise _uncut(about, f"{type(error).__name__}: {error}") from error
    n_after = _n_weights(network)
    if n_answers != len(about.classes) or n_after == n_before:
        raise _uncut(about, f"{n_before:,} weights before, {n_after:,} after")
    log.warning("pruned: %s weights of %s are left", f"{n_after:,}", f"{n_before:,}")
    return network


def _uncut(about: ModelFile, found: str) -> BadData:
    return BadData(
        "the channels of this network cannot be cut",
        file=about.network,
        value=found[:300],
        remedy="export it without --prune; --int8 makes any network smaller",
    )


def _n_weights(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def _fine_tune(
    student: Classifier,
    teacher: Classifier,
    views: TrainingViews,
    *,
    epochs: int,
    meter: Meter,
) -> None:
    optimiser = torch.optim.AdamW(
        student.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=PEAK_LEARNING_RATE, total_steps=epochs * views.n_batches
    )
    student.train()
    for epoch in range(epochs):
        for images_BHWC in views.epoch(epoch):
            with torch.no_grad():
                wanted_BK = F.log_softmax(teacher(images_BHWC) / SOFTENED, dim=1)
            said_BK = F.log_softmax(student(images_BHWC) / SOFTENED, dim=1)
            loss = F.kl_div(said_BK, wanted_BK, reduction="batchmean", log_target=True)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(student.parameters(), MOST_NORM)
            optimiser.step()
            schedule.step()
            meter.step(1)
    student.eval()
