"""The first losses of every recipe, its rates and sizes are frozen: a refactor that changes them changes a digit here.

On small pictures, with the network of `quick`. Five decimals: other processors round the sixth in their own way. When a
loss changes and should, copy the list that the failure shows into the file.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.objective import Objective
from pipeline_lib.train.recipes import RECIPES
from pipeline_lib.train.run import _open
from pipeline_lib.train.schedule import learning_rate

GOLDEN = json.loads(Path(__file__).with_name("golden_losses.json").read_text())
SMALL = {"network": "mini_resnet", "side_px": 32, "batch_size": 12, "epochs": 1}


@pytest.mark.parametrize("name", GOLDEN["losses"])
def test_the_first_losses_of_a_recipe_are_those_of_the_last_release(small_line, name: str) -> None:
    recipe = replace(RECIPES[name], **SMALL)
    job = small_line.train(small_line.folder)
    torch.manual_seed(0)
    network = build_network(recipe.network, n_classes=3, side_px=32).to(memory_format=torch.channels_last)
    model = Classifier(network, mean=recipe.mean, std=recipe.std)
    rows = SELECTION.read(job.reads["selection"] / "train.parquet")
    loader, objective = _open(job, rows, recipe, training=True), Objective(label_smoothing=recipe.label_smoothing)
    losses = []

    for phase in phases(recipe):
        learner = Learner(model, recipe, phase, objective=objective, device=torch.device("cpu"))
        learner.begin_epoch()
        for step, batch in enumerate(loader.epoch(0)):
            rate = learning_rate(step, len(loader), peak=phase.peak_learning_rate, schedule=recipe.schedule)
            losses.append(round(learner.update(batch, rate=rate).item(), 5))

    assert losses == pytest.approx(GOLDEN["losses"][name], abs=1.1e-5), losses


@pytest.mark.parametrize("name", RECIPES)
def test_the_rates_and_sizes_of_a_recipe_are_those_of_the_last_release(name: str) -> None:
    """Rates at the first step, each tenth and the last, with 100 steps an epoch; in which epoch a size begins."""
    recipe, sides_E = RECIPES[name], RECIPES[name].training_sides()
    n_steps = 100 * recipe.epochs
    options = {"peak": recipe.peak_learning_rate, "schedule": recipe.schedule, "warm_up": recipe.warm_up}
    rates = [learning_rate(min(n_steps * tenth // 10, n_steps - 1), n_steps, **options) for tenth in range(11)]
    plan = {"rates": [float(f"{rate:.6g}") for rate in rates]}
    plan["sides"] = [[sides_E.index(side_px), side_px] for side_px in sorted(set(sides_E))]

    assert plan == GOLDEN["plans"].get(name), plan


@pytest.mark.parametrize("name", [name for name in RECIPES if name not in GOLDEN["losses"]])
def test_a_recipe_without_losses_of_its_own_is_resnet_16_but_for_its_length(name: str) -> None:
    """Two epochs of warm-up in each: the first losses are the same, so they are frozen once."""
    same = replace(RECIPES["resnet-16"], epochs=RECIPES[name].epochs, warm_up=2 / RECIPES[name].epochs)

    assert RECIPES[name] == same
