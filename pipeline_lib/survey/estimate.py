"""How long a line will take and how much disk: what one image costs on this machine, scaled to all of them.

A few images are decoded and converted, and a fresh network takes two training steps.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.convert.stored import ReceivedImage, stored_form
from pipeline_lib.inspect.embedding import builtin_embedding
from pipeline_lib.inspect.image import examine
from pipeline_lib.inspect.shard import describe
from pipeline_lib.params import LineParams
from pipeline_lib.settings import Settings
from pipeline_lib.survey.look import Survey
from pipeline_lib.train.recipes import STATISTICS_VIEWS, Recipe

OFF = 1.5  # what an estimate may be wrong by, either way, before it stops being one
TABLES_BYTES = 6_000  # of an image in the tables of inspect and curate: thumbnail, vector, rows
MODEL_COPIES = 6  # weights, export, ONNX; and while it trains, three in a checkpoint
CURATE_S = 0.0017  # of an image: 97 s for 60,000, benchmarks/results/cifar10_stages.json
STARTS_S = 30.0  # eight stages that start, DVC between them, export and report: about a third of `make demo`
TRIED, TRIED_S = 50, 2.0  # images, and after how many seconds it is enough
PIXELS_OF_A_BATCH = (
    250_000  # 5 images of 224 px: less than a second on one core, and enough to be busy with
)


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


def scale(trial: CostTrial, survey: Survey, params: LineParams, *, workers: int) -> RunEstimate:
    """What all images cost, when one costs what the trial found. workers: processes that prepare images."""
    n, splits = survey.n_images, dict(survey.splits)
    n_test = splits.get("test") or round(n * params.curate.test_fraction)
    n_val = splits.get("val") or round(n * params.curate.val_fraction)
    recipe = params.train
    n_train = n - n_test - n_val
    statistics = (
        0 if recipe.freeze_batch_norm else min(n_train, STATISTICS_VIEWS)
    )  # of batch normalisation
    looks = (n_val + statistics) * recipe.epochs + (n_train if recipe.probe_epochs else 0)
    steps = n_train * _passes(recipe)
    return RunEstimate(
        n=trial.n,
        prepare_s=n * trial.prepare_s / workers + n * CURATE_S,
        train_s=steps * trial.step_s + looks * trial.look_s,
        other_s=(n_test + n_val) * trial.look_s + STARTS_S,
        shards_bytes=survey.size_bytes,
        betons_bytes=n * trial.kept_bytes,
        other_bytes=n * TABLES_BYTES + MODEL_COPIES * trial.weights_bytes,
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
    return f"{disk}\ntime     about {_span(found.total_s)}, of it {_span(found.train_s)} of training; {tried}"


def _passes(recipe: Recipe) -> float:
    """Epochs, each by the area of its views as a share of the largest."""
    sides = recipe.training_sides()
    return sum((side / max(sides)) ** 2 for side in sides)


def _megabytes(size_bytes: float) -> str:
    """To two digits, in decimal units."""
    unit, divisor = ("GB", 1e9) if size_bytes >= 1e9 else ("MB", 1e6)
    rounded = float(f"{size_bytes / divisor:.2g}")
    return f"{rounded:g} {unit}" if rounded >= 1 else f"under 1 {unit}"


def _span(seconds: float) -> str:
    """A range in one unit: `20 to 50 s`, `3 to 7 minutes`, `2 to 5 hours`."""
    low, high = seconds / OFF, seconds * OFF
    unit, divisor, step = (
        ("s", 1, 10) if high < 120 else ("minutes", 60, 1) if high < 7200 else ("hours", 3600, 1)
    )
    least, most = round(low / divisor / step) * step, max(round(high / divisor / step), 1) * step
    return f"{max(least, 1)} to {most} {unit}" if least < most else f"{most} {unit}"


@dataclass(frozen=True)
class CostTrial:
    """n: images tried. kept_bytes: of an image in a beton; weights_bytes: of the network.

    Seconds of wall time per image: prepare_s of one worker that decodes, measures and converts it; step_s of the
    training process with all its threads, for an update with the largest views; look_s for an answer.
    """

    n: int
    kept_bytes: float
    weights_bytes: int
    prepare_s: float
    step_s: float
    look_s: float


def try_out(survey: Survey, params: LineParams, settings: Settings) -> CostTrial | None:
    """Try up to 50 sampled images, and a step of training; None when none of them could be decoded."""
    costs = _prepare(survey, params)
    if not costs:
        return None
    seconds, sizes_bytes = zip(*costs, strict=True)
    weights_bytes, step_s, look_s = _steps(params, settings, n_classes=max(2, len(survey.classes)))
    n = len(costs)
    return CostTrial(n, sum(sizes_bytes) / n, weights_bytes, sum(seconds) / n, step_s, look_s)


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


def _steps(params: LineParams, settings: Settings, *, n_classes: int) -> tuple[int, float, float]:
    """Bytes of the weights, and the seconds per image of an update and of an answer; each the second of two."""
    import torch

    from pipeline_lib.loader import Batch
    from pipeline_lib.networks.build import build_network
    from pipeline_lib.networks.classifier import Classifier
    from pipeline_lib.networks.device import choose_device
    from pipeline_lib.train.learner import Learner, phases
    from pipeline_lib.train.loss import Objective

    recipe = params.train.changed(compile="off")  # which takes longer than what is tried
    side_px = max(recipe.training_sides())
    device = choose_device(settings.device, threads=params.train.threads, seed=0)
    network = build_network(
        recipe.network, n_classes=n_classes, side_px=recipe.side_px, auxiliary=True
    )
    model = Classifier(
        network.to(memory_format=torch.channels_last), mean=recipe.mean, std=recipe.std
    ).to(device)
    learner = Learner(model, recipe, phases(recipe)[-1], objective=Objective(), device=device)
    n = (
        recipe.batch_size
        if device.type == "cuda"
        else min(recipe.batch_size, max(4, PIXELS_OF_A_BATCH // side_px**2))
    )
    images_BHWC = torch.randint(256, (n, side_px, side_px, 3), dtype=torch.uint8)
    batch = Batch(images_BHWC, torch.arange(n) % n_classes, torch.ones(n), torch.arange(n))
    learner.begin_epoch()
    step_s = look_s = 0.0
    for _ in range(2):  # the first one also prepares kernels and memory
        began = time.perf_counter()
        float(learner.update(batch, rate=recipe.peak_learning_rate))  # waits for a GPU
        step_s = (time.perf_counter() - began) / n
    model.eval()
    for _ in range(2):
        began = time.perf_counter()
        with torch.no_grad():
            model(batch.images_BHWC.to(device)).cpu()
        look_s = (time.perf_counter() - began) / n
    return 4 * sum(tensor.numel() for tensor in network.state_dict().values()), step_s, look_s
