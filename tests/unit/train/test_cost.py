"""What the train stage says of its cost before it begins."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.train.cost import StepCost, span, training_s, try_step
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.recipes import RECIPES
from pipeline_lib.train.run import run
from testing.small_line import SmallLine


def test_a_cost_counts_updates_by_area_and_answers() -> None:
    """100 images, 10 to validate, 4 epochs: three at half the side and one whole; an answer is a tenth of an update."""
    cost = StepCost(step_s=0.1, look_s=0.01)
    frozen = RECIPES["finetune"].changed(epochs=4, train_from_px=112)

    seconds = training_s(frozen, cost, n_train=100, n_val=10)
    probe_alone = training_s(frozen.changed(epochs=0), cost, n_train=100, n_val=10)

    assert frozen.training_sides() == [112, 112, 144, 224]
    areas = 2 * 0.25 + (144 / 224) ** 2 + 1
    probe_and_check = (100 + 10 + 100) * 0.01
    assert seconds == pytest.approx(100 * areas * 0.1 + 4 * 10 * 0.01 + probe_and_check)
    assert probe_alone == pytest.approx(probe_and_check)
    limited = frozen.changed(budget_minutes=0.1)
    assert training_s(limited, cost, n_train=100, n_val=10) == pytest.approx(
        6 + 0.4 + probe_and_check
    )


def test_the_trial_changes_neither_the_model_nor_what_is_drawn_next() -> None:
    recipe = RECIPES["quick"]
    torch.manual_seed(0)
    network = build_network("small_cnn", n_classes=3, side_px=32)  # with dropout
    model = Classifier(network, mean=recipe.mean, std=recipe.std)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()

    cost = try_step(model, recipe, objective=Objective(), device=torch.device("cpu"))

    assert min(cost.step_s, cost.look_s) > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_stage_says_its_cost_before_it_trains(
    small_line: SmallLine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    run(small_line.train(tmp_path, epochs=1))

    said = [record.getMessage() for record in caplog.records]
    cost = next(n for n, line in enumerate(said) if "training will take about" in line)
    assert "1 epochs of 60 images at" in said[cost]
    assert cost < next(n for n, line in enumerate(said) if line.startswith("epoch 1/1"))


def test_people_read_a_range_in_one_unit() -> None:
    assert [span(one) for one in (2, 30, 300, 10_000)] == [
        "1 to 10 s",
        "20 to 40 s",
        "3 to 8 minutes",
        "2 to 4 hours",
    ]
