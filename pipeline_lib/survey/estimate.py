"""How long a line will take and how much disk: a trial on this machine, scaled to all images."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline_lib.params import LineParams
from pipeline_lib.survey.look import Survey
from pipeline_lib.survey.trial import Trial
from pipeline_lib.train.recipes import STATISTICS_VIEWS, Recipe

OFF = 1.5  # what an estimate may be wrong by, either way, before it stops being one
TABLES_BYTES = 6_000  # of an image in the tables of inspect and curate: thumbnail, vector, rows
MODEL_COPIES = 6  # weights, export, ONNX; and while it trains, three in a checkpoint
CURATE_S = 0.0017  # of an image: 97 s for 60,000, benchmarks/results/cifar10_stages.json
STARTS_S = 30.0  # eight stages that start, DVC between them, export and report: about a third of `make demo`


@dataclass(frozen=True)
class Estimate:
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


def scale(trial: Trial, survey: Survey, params: LineParams, *, workers: int) -> Estimate:
    """What all images cost, when one costs what the trial found. workers: processes that prepare images."""
    n, splits = survey.n_images, dict(survey.splits)
    n_test = splits.get("test") or round(n * params.curate.test_fraction)
    n_val = splits.get("val") or round(n * params.curate.val_fraction)
    recipe = params.train
    n_train = n - n_test - n_val
    statistics = 0 if recipe.freeze_batch_norm else min(n_train, STATISTICS_VIEWS)  # of batch normalisation
    looks = (n_val + statistics) * recipe.epochs + (n_train if recipe.probe_epochs else 0)
    steps = n_train * _passes(recipe)
    return Estimate(
        n=trial.n,
        prepare_s=n * trial.prepare_s / workers + n * CURATE_S,
        train_s=steps * trial.step_s + looks * trial.look_s,
        other_s=(n_test + n_val) * trial.look_s + STARTS_S,
        shards_bytes=survey.size_bytes,
        betons_bytes=n * trial.kept_bytes,
        other_bytes=n * TABLES_BYTES + MODEL_COPIES * trial.weights_bytes,
    )


def describe_estimate(found: Estimate, *, free_bytes: int, is_remote: bool) -> str:
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
    unit, divisor, step = ("s", 1, 10) if high < 120 else ("minutes", 60, 1) if high < 7200 else ("hours", 3600, 1)
    least, most = round(low / divisor / step) * step, max(round(high / divisor / step), 1) * step
    return f"{max(least, 1)} to {most} {unit}" if least < most else f"{most} {unit}"
