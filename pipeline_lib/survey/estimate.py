"""How long a line will take and how much disk: what one image costs on this machine, scaled to all of them.

A few images are decoded and converted, and a fresh network takes two training steps.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.convert.stored import ReceivedImage, stored_form
from pipeline_lib.inspect.embedding import builtin_embedding
from pipeline_lib.inspect.image import examine
from pipeline_lib.inspect.shard import describe
from pipeline_lib.params import LineParams
from pipeline_lib.settings import Settings
from pipeline_lib.survey.look import Survey
from pipeline_lib.train.cost import StepCost, span, training_s, try_step

TABLES_BYTES = 6_000  # of an image in the tables of inspect and curate: thumbnail, vector, rows
MODEL_COPIES = 6  # weights, export, ONNX; and while it trains, three in a checkpoint
CURATE_S = 0.0017  # of an image: 97 s for 60,000, benchmarks/results/cifar10_stages.json
STARTS_S = 30.0  # eight stages that start, DVC between them, export and report: about a third of `make demo`
TRIED, TRIED_S = 50, 2.0  # images, and after how many seconds it is enough


@dataclass(frozen=True)
class RunEstimate:
    """Seconds of wall time and bytes for one run from nothing. n: images tried."""

    n: int
    prepare_s: float
    train_s: float
    other_s: float
    shards_bytes: float
    betons_bytes: float
    other_bytes: float

    @property
    def total_s(self) -> float:
        """From the start to a registered model; what is fetched over a network not counted."""
        return self.prepare_s + self.train_s + self.other_s

    @property
    def size_bytes(self) -> float:
        """In DVC's cache, with which `line/`, the memo and workspaces share their files."""
        return self.shards_bytes + self.betons_bytes + self.other_bytes


def scale(
    trial: CostTrial,
    survey: Survey,
    params: LineParams,
    *,
    workers: int,
    others: Sequence[Survey] = (),
) -> RunEstimate:
    """What all images cost, when one costs what the trial found. workers: processes that prepare images.

    others: sources that are prepared and not trained on.
    """
    n, splits = survey.n_images, dict(survey.splits)
    n_prepared = n + sum(one.n_images for one in others)
    n_test = splits.get("test") or round(n * params.curate.test_fraction)
    n_val = splits.get("val") or round(n * params.curate.val_fraction)
    recipe = params.train
    n_train = n - n_test - n_val
    return RunEstimate(
        n=trial.n,
        prepare_s=n_prepared * trial.prepare_s / workers + n_prepared * CURATE_S,
        train_s=training_s(recipe, trial.step, n_train=n_train, n_val=n_val),
        other_s=(n_test + n_val) * trial.step.look_s + STARTS_S,
        shards_bytes=survey.size_bytes + sum(one.size_bytes for one in others),
        betons_bytes=n_prepared * trial.kept_bytes,
        other_bytes=n_prepared * TABLES_BYTES + MODEL_COPIES * trial.weights_bytes,
    )


def describe_estimate(found: RunEstimate, *, free_bytes: int, is_remote: bool) -> str:
    """Two lines for a person."""
    sizes = f"{_megabytes(found.shards_bytes)} as received, {_megabytes(found.betons_bytes)} as training reads them"
    disk = f"disk     about {_megabytes(found.size_bytes)}: {sizes}, the rest model and tables"
    disk += f"; {_megabytes(free_bytes)} free"
    if found.size_bytes > free_bytes:
        disk += ". Too little: free some, or set convert.short_side_px to keep less"
    fetching = ", fetching not counted" if is_remote else ""
    tried = f"{found.n} images and one training step were tried on this machine{fetching}"
    return f"{disk}\ntime     about {span(found.total_s)}, of it {span(found.train_s)} of training; {tried}"


def _megabytes(size_bytes: float) -> str:
    """To two digits, in decimal units."""
    unit, divisor = ("GB", 1e9) if size_bytes >= 1e9 else ("MB", 1e6)
    rounded = float(f"{size_bytes / divisor:.2g}")
    return f"{rounded:g} {unit}" if rounded >= 1 else f"under 1 {unit}"


@dataclass(frozen=True)
class CostTrial:
    """n: images tried. kept_bytes: of an image in a beton; weights_bytes: of the network.

    prepare_s: seconds of wall time per image of one worker that decodes, measures and converts it. step: of training.
    """

    n: int
    kept_bytes: float
    weights_bytes: int
    prepare_s: float
    step: StepCost


def try_out(survey: Survey, params: LineParams, settings: Settings) -> CostTrial | None:
    """Try up to 50 sampled images, and a step of training; None when none of them could be decoded."""
    costs = _prepare(survey, params)
    if not costs:
        return None
    seconds, sizes_bytes = zip(*costs, strict=True)
    weights_bytes, step = _steps(params, settings, n_classes=max(2, len(survey.classes)))
    n = len(costs)
    return CostTrial(n, sum(sizes_bytes) / n, weights_bytes, sum(seconds) / n, step)


def _prepare(survey: Survey, params: LineParams) -> list[tuple[float, int]]:
    """Seconds and kept bytes of each image; the first one, which loads what the others find loaded, goes twice."""
    rules, costs, started = params.inspect.pixel_rules(), [], time.perf_counter()
    embedding = builtin_embedding(params.inspect)
    samples = survey.samples[:: -(-len(survey.samples) // TRIED) or 1]
    for seen in [*samples[:1], *samples]:
        if seen.size_bytes > params.download.max_file_bytes:
            continue
        data = seen.first(seen.size_bytes) if seen.first else b""
        began = time.perf_counter()
        examined = examine(seen.name, data, params.inspect)
        found = examined.findings
        if len(data) < seen.size_bytes or examined.grey_HW is None:
            continue
        describe(examined, embedding)
        size = {name: int(found[name]) for name in ("width_px", "height_px", "exif_orientation")}
        image = ReceivedImage(
            image_id=seen.name, container="", offset_bytes=0, size_bytes=len(data), **size
        )
        stored = stored_form(data, image, params.convert, rules, shards=Path(survey.uri))
        costs.append((time.perf_counter() - began, len(stored.content)))
        if time.perf_counter() - started > TRIED_S:
            break
    return costs[1:] or costs


def _steps(params: LineParams, settings: Settings, *, n_classes: int) -> tuple[int, StepCost]:
    """Bytes of the weights, and what a step and an answer cost."""
    import torch

    from pipeline_lib.networks.build import build_network
    from pipeline_lib.networks.classifier import Classifier
    from pipeline_lib.networks.device import choose_device
    from pipeline_lib.train.loss import Objective

    recipe = params.train
    device = choose_device(settings.device, threads=recipe.threads, seed=0)
    network = build_network(
        recipe.network, n_classes=n_classes, side_px=recipe.side_px, auxiliary=True
    )
    model = Classifier(
        network.to(memory_format=torch.channels_last), mean=recipe.mean, std=recipe.std
    ).to(device)
    cost = try_step(model, recipe, objective=Objective(), device=device)
    return 4 * sum(tensor.numel() for tensor in network.state_dict().values()), cost
