"""What a training costs before it begins: a step and an answer tried on this machine, times the recipe's images."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pipeline_lib.train.recipes import STATISTICS_VIEWS, Recipe

if TYPE_CHECKING:
    import torch

    from pipeline_lib.loader import Batch
    from pipeline_lib.networks.classifier import Classifier
    from pipeline_lib.train.loss import Objective

OFF = 1.5  # what an estimate may be wrong by, either way, before it stops being one
PIXELS_OF_A_BATCH = (
    250_000  # 5 images of 224 px: less than a second on one core, and enough to be busy with
)


@dataclass(frozen=True)
class StepCost:
    """Seconds of wall time per image, with all threads of the process.

    step_s: of an update with the largest training views; look_s: of an answer, at the network's own side.
    """

    step_s: float
    look_s: float


def try_step(
    model: Classifier, recipe: Recipe, *, objective: Objective, device: torch.device
) -> StepCost:
    """Time the second of two updates and of two answers, on random pixels; `model` and torch's random state stay.

    Raises ConfigError when memory runs out.
    """
    import torch

    from pipeline_lib.train.checkpoint import random_state, set_random_state
    from pipeline_lib.train.learner import Learner, phases
    from pipeline_lib.train.out_of_memory import with_remedy

    before = random_state()
    recipe = recipe.changed(compile="off")  # which takes longer than what is tried
    learner = Learner(
        copy.deepcopy(model), recipe, phases(recipe)[-1], objective=objective, device=device
    )
    view = _random_batch(recipe, device, side_px=max(recipe.training_sides()))
    still = _random_batch(recipe, device, side_px=recipe.side_px)

    # The first of each also prepares kernels and memory.
    update = partial(learner.update, rate=recipe.peak_learning_rate)
    learner.begin_epoch()
    step_s = look_s = 0.0
    for _ in range(2):
        began = time.perf_counter()
        float(with_remedy(update, view))  # waits for a GPU
        step_s = (time.perf_counter() - began) / len(view.labels_B)
    learner.model.eval()
    for _ in range(2):
        began = time.perf_counter()
        with torch.no_grad():
            learner.model(still.images_BHWC.to(device)).cpu()
        look_s = (time.perf_counter() - began) / len(still.labels_B)
    set_random_state(before)
    return StepCost(step_s=step_s, look_s=look_s)


def _random_batch(recipe: Recipe, device: torch.device, *, side_px: int) -> Batch:
    """As many images as tell the time of one: on a CPU a few."""
    import torch

    from pipeline_lib.loader import Batch

    n = recipe.batch_size
    if device.type != "cuda":
        n = min(n, max(4, PIXELS_OF_A_BATCH // side_px**2))
    images_BHWC = torch.randint(256, (n, side_px, side_px, 3), dtype=torch.uint8)
    return Batch(images_BHWC, torch.zeros(n, dtype=torch.int64), torch.ones(n), torch.arange(n))


def training_s(recipe: Recipe, cost: StepCost, *, n_train: int, n_val: int) -> float:
    """Seconds of a training: updates, validations, features for a probe, the check at the end.

    Without frozen batch normalisation also its statistics, and a second look in the check.
    """
    from pipeline_lib.train.batch_norm import MOST_IMAGES

    checked = min(n_train, MOST_IMAGES)
    looks = n_val * recipe.epochs + checked
    if not recipe.freeze_batch_norm:
        looks += min(n_train, STATISTICS_VIEWS) * recipe.epochs + checked
    if recipe.probe_epochs:
        looks += n_train + n_val
    updates_s = n_train * _passes(recipe) * cost.step_s
    if recipe.budget_minutes:
        updates_s = min(updates_s, 60 * recipe.budget_minutes)
    return updates_s + looks * cost.look_s


def _passes(recipe: Recipe) -> float:
    """Epochs, each by the area of its views as a share of the largest."""
    sides = recipe.training_sides()[: recipe.epochs]
    return sum((side / max(sides)) ** 2 for side in sides)


def span(seconds: float) -> str:
    """A range in one unit: `20 to 50 s`, `3 to 7 minutes`, `2 to 5 hours`."""
    low, high = seconds / OFF, seconds * OFF
    unit, divisor, step = (
        ("s", 1, 10) if high < 120 else ("minutes", 60, 1) if high < 7200 else ("hours", 3600, 1)
    )
    least, most = round(low / divisor / step) * step, max(round(high / divisor / step), 1) * step
    return f"{max(least, 1)} to {most} {unit}" if least < most else f"{most} {unit}"
