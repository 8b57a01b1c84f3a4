"""How many values a channel batch normalisation needs: answers of networks after four steps on few images of 32 px.

    python -m benchmarks.training.least_batch [--seeds 5]

At 32 px the last maps of these networks are one pixel, so a batch of B images gives B values a channel. Four steps on
noise at the recipe `photo`'s settings and a rate of 1e-3; then the largest logit, by its absolute value, of images that
were not trained on, statistics estimated as for every validation. Sound networks answer below 100. The limit of
pipeline_lib/train/preflight.py rests on it. Writes benchmarks/results/least_batch.json; some 5 CPU minutes.
"""

from __future__ import annotations

import argparse

import torch

from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.loader import Batch
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.recipes import RECIPES

NETWORKS = (
    "efficientnet_b0",
    "mnasnet0_5",
    "shufflenet_v2_x0_5",
    "regnet_y_400mf",
    "mobilenet_v2",
    "resnet18",
)
SIZES = (2, 3, 4, 6, 8, 16, 32)
SIDE_PX, STEPS, RATE, N_CLASSES = 32, 4, 1e-3, 3
HALF = (0.5, 0.5, 0.5)
INFINITE = 1e38  # stands for what is no number


def largest_logit(name: str, size: int, seed: int) -> float:
    """Of `size` images that were not trained on."""
    torch.manual_seed(seed)
    model = Classifier(
        build_network(name, n_classes=N_CLASSES, side_px=SIDE_PX), mean=HALF, std=HALF
    )
    recipe, cpu = RECIPES["photo"], torch.device("cpu")
    learner = Learner(model, recipe, phases(recipe)[-1], objective=Objective(), device=cpu)
    batches = [noise(size) for _ in range(STEPS)]
    learner.begin_epoch()
    for batch in batches:
        learner.update(batch, rate=RATE)
    learner.end_epoch(batches)
    with torch.no_grad():
        logits_BK = model.eval()(noise(size).images_BHWC)
    return float(logits_BK.abs().max().nan_to_num(INFINITE, INFINITE))


def noise(size: int) -> Batch:
    """Images of noise, their classes in turn."""
    images_BHWC = torch.randint(0, 256, (size, SIDE_PX, SIDE_PX, 3), dtype=torch.uint8)
    return Batch(images_BHWC, torch.arange(size) % N_CLASSES, torch.ones(size), torch.arange(size))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training.least_batch", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=5, help="how many (default 5)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    for name in NETWORKS:
        for size in SIZES:
            values = [largest_logit(name, size, seed) for seed in range(options.seeds)]
            rows.append(row(name, f"largest logit, {size} values a channel", "logit", values))
            print(
                f"{name}, {size}: {rows[-1].median:.3g} ({rows[-1].min:.3g} to {rows[-1].max:.3g})",
                flush=True,
            )
    print(f"wrote {write_results('least_batch', rows)}")


if __name__ == "__main__":
    main()
