"""Which learning rate to begin with: raise it from step to step and watch the loss (Smith 2015, arXiv 1506.01186)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain

from pipeline_lib.harness.stage import StageRun
from pipeline_lib.loader import Batch
from pipeline_lib.networks.device import choose_device
from pipeline_lib.train.inputs import read_inputs, read_selected
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.linear_probe import whiten_and_probe
from pipeline_lib.train.loaders import open_images, open_training_views
from pipeline_lib.train.params import TrainParams

LOWEST_RATE = 1e-5
HIGHEST_RATE = 10.0
STEPS = 100
SMOOTHING = 0.9  # decay of the smoothed loss per step
TOO_HIGH = 4.0  # times the lowest smoothed loss: the end


@dataclass(frozen=True)
class TriedRate:
    """A rate, and the smoothed training loss after a step at it, nats."""

    rate: float
    loss: float


def find_rates(job: StageRun[TrainParams]) -> list[TriedRate]:
    """Try rates from low to high where training would begin; writes nothing. Raises as the stage does."""
    device = choose_device(job.settings.device, threads=job.params.threads, seed=job.params.seed)
    inputs = read_inputs(job, read_selected(job), device)
    rows = inputs.selected.train

    # The same beginning as in training: starting weights, whitening, probe.
    model = inputs.starting_model()
    objective = inputs.objective(inputs.params, rows)
    open_still = partial(open_images, job, rows, inputs.params, share=False)
    recipe = whiten_and_probe(
        model,
        inputs.params,
        objective=objective,
        open_still=open_still,
        device=device,
    ).recipe

    learner = Learner(model, recipe, phases(recipe)[-1], objective=objective, device=device)
    with closing(open_training_views(job, rows, recipe, device)) as loader:
        batches = chain.from_iterable(loader.epoch(number) for number in range(STEPS))
        return try_rates(learner, batches)


def try_rates(learner: Learner, batches: Iterable[Batch]) -> list[TriedRate]:
    """Take one step at each of up to 100 rates from 1e-5 to 10, geometrically, until the loss runs away."""
    tried: list[TriedRate] = []
    mean = 0.0
    learner.begin_epoch()
    for step, batch in zip(range(STEPS), batches, strict=False):
        rate = LOWEST_RATE * (HIGHEST_RATE / LOWEST_RATE) ** (step / (STEPS - 1))
        loss = float(learner.update(batch, rate=rate))

        # An exponential average, corrected for its beginning at 0.
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed = mean / (1 - SMOOTHING ** (step + 1))
        if not math.isfinite(smoothed):
            break
        if tried and smoothed > TOO_HIGH * min(found.loss for found in tried):
            break
        tried.append(TriedRate(rate=rate, loss=smoothed))
    return tried


def peak_rate(tried: list[TriedRate]) -> float | None:
    """A tenth of the rate at which the loss was lowest, to two digits: the careful end of what trains.

    None where that is less than any rate that was tried: then the loss hardly fell below its beginning, as from a head
    that is fitted before the first step.
    """
    lowest = min(tried, key=lambda found: found.loss)
    peak = float(f"{lowest.rate / 10:.2g}")
    return peak if peak >= tried[0].rate else None
