"""The first losses of every recipe, printed as JSON: `python -m tests.unit.train.first_losses`.

A program of its own, because which kernels torch, oneDNN and MKL take is settled when they are loaded.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch

from pipeline_lib.loader import BatchLoader
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.loaders import open_images
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.recipes import RECIPES
from pipeline_lib.train.schedule import ema_decay, learning_rate
from testing.small_line import SmallLine, make_small_line

SMALL = {"network": "mini_resnet", "side_px": 32, "batch_size": 12, "epochs": 1}
DIGITS = 6


def first_losses(line: SmallLine, name: str) -> list[float]:
    """Of every step of one epoch of each phase; and then the mean loss of those images for the model that is judged."""
    recipe = RECIPES[name].changed(**SMALL)
    job = line.train(line.folder)
    torch.manual_seed(0)
    network = build_network(recipe.network, n_classes=3, side_px=32).to(
        memory_format=torch.channels_last
    )
    model = Classifier(network, mean=recipe.mean, std=recipe.std)
    rows = SELECTION.read(job.reads["selection"] / "train.parquet")
    loader, objective = (
        open_images(job, rows, recipe, training=True),
        Objective(label_smoothing=recipe.label_smoothing),
    )
    losses = []
    for phase in phases(recipe):
        kept = ema_decay(recipe.ema_half_life_epochs, len(loader))
        learner = Learner(
            model,
            recipe,
            phase,
            objective=objective,
            device=torch.device("cpu"),
            average_decay=kept,
        )
        learner.begin_epoch()
        for step, batch in enumerate(loader.epoch(0)):
            rate = learning_rate(
                step, len(loader), peak=phase.peak_learning_rate, schedule=recipe.schedule
            )
            losses.append(learner.update(batch, rate=rate).item())
        learner.end_epoch(loader.epoch(0))
        losses.append(_judged_loss(learner, loader))
    loader.close()
    return [round(loss, DIGITS) for loss in losses]


@torch.no_grad()
def _judged_loss(learner: Learner, loader: BatchLoader) -> float:
    batches = list(loader.epoch(0))
    losses = [
        torch.nn.functional.cross_entropy(learner.evaluated(one.images_BHWC), one.labels_B)
        for one in batches
    ]
    return torch.stack(losses).mean().item()


def main() -> None:
    """Losses of the recipes that are named."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        line = make_small_line(Path(temporary))
        print(json.dumps({name: first_losses(line, name) for name in sys.argv[1:]}))


if __name__ == "__main__":
    main()
