"""CIFAR-10 through the line: what convert costs, what loading costs, and whether the loader changes the accuracy.

    python -m benchmarks.training.cifar10 ARCHIVE [--epochs 3] [--seeds 3] [--stages-only]

ARCHIVE: CIFAR-10 as JPEG or PNG, `train|test/<class>/<name>`. The data set cannot be redistributed here. The line runs
up to convert as `perennial init` sets it up; then the recipe `quick`, shortened to `--epochs`, trains and evaluates
through our decoder and through FFCV as it comes, each with the same seeds. Writes benchmarks/results/cifar10.json.
--stages-only: time and memory of the stages up to convert, into benchmarks/results/cifar10_stages.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.loader import Augmentation, open_loader
from pipeline_lib.loader.open import Kind
from pipeline_lib.tables.selection import SELECTION
from testing.checkout import Checkout, throw_away_checkout

STAGES = ("discover", "download", "inspect", "curate", "convert")
# What readers call them -> the kind of loader, and the value of train.views.
LOADERS: dict[str, Kind] = {
    "Perennial": "native",
    "FFCV 1.0.2": "ffcv",
    "Perennial with libraries only": "python",
}
TRAINED_BY = {"Perennial": "keyed", "FFCV 1.0.2": "ffcv"}
EPOCHS_TIMED = 3


@dataclass(frozen=True)
class Cost:
    """What a process and its children took.

    peak_mb: no process of them held more; it counts what this one held when it started them, too.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float = 0.0


def run_stage(checkout: Checkout, stage: str, **settings: str) -> Cost:
    """Run one stage. Raises SystemExit with the end of what it said."""
    clock = time.monotonic()
    command = [sys.executable, "-m", "pipeline_lib.stage", stage]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = subprocess.Popen(
            command, cwd=checkout.folder, env=checkout.environment(**settings), stderr=said
        )
        _, status, used = os.wait4(process.pid, 0)
        if status:
            said.seek(0)
            sys.exit(
                f"{stage}: exit code {os.waitstatus_to_exitcode(status)}\n{said.read()[-2000:]}"
            )
    cost = Cost(time.monotonic() - clock, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)
    print(
        f"{stage}: {cost.wall_s:.0f} s, {cost.cpu_s:.0f} s of CPU, {cost.peak_mb:.0f} MB {settings or ''}",
        flush=True,
    )
    return cost


def line_rows(checkout: Checkout, archive: Path) -> list[Row]:
    """Run up to convert; what that takes, in time and on disk."""
    checkout.python("flows.cli", "init", str(archive.resolve()))
    costs = {stage: run_stage(checkout, stage) for stage in STAGES}
    rows = [row(stage, "wall", "s", [cost.wall_s]) for stage, cost in costs.items()]
    rows += [row(stage, "CPU", "s", [cost.cpu_s]) for stage, cost in costs.items()]
    rows += [
        row(stage, "memory of its largest process, at most", "MB", [cost.peak_mb])
        for stage, cost in costs.items()
    ]
    betons = list((checkout.folder / "line/convert/betons").glob("*"))
    on_disk = sum(path.stat().st_blocks * 512 for path in betons)
    return [
        *rows,
        row("size", "archive", "MB", [archive.stat().st_size / 1e6]),
        row("size", "betons, on disk", "MB", [on_disk / 1e6]),
        row("size", "betons", "files", [len([path for path in betons if path.suffix == ".beton"])]),
    ]


def load_rows(checkout: Checkout) -> list[Row]:
    """CPU per image of training views, in this process, after an epoch to warm up."""
    selection = SELECTION.read(checkout.folder / "line/curate/selection/train.parquet")
    frame = pd.DataFrame(
        {name: selection[name].to_numpy() for name in ("image_id", "label", "weight")}
    )
    rows = [row("training images", "selected", "images", [len(frame)])]
    for name, kind in LOADERS.items():
        loader = open_loader(
            checkout.folder / "line/convert/betons",
            frame,
            batch_size=512,
            side_px=32,
            augmentation=Augmentation(flip=True, shift_px=2),
            shuffle=True,
            seed=0,
            drop_last=True,
            kind=kind,
            workers=2,
        )
        costs = [_epoch_cost(loader, epoch) for epoch in range(1 + EPOCHS_TIMED)][1:]
        n_images = len(loader) * 512
        rows.append(
            row(
                f"load, {name}",
                "CPU per image",
                "µs",
                [1e6 * cost.cpu_s / n_images for cost in costs],
            )
        )
        rows.append(
            row(
                f"load, {name}",
                "images per second of a core",
                "1/s",
                [n_images / c.cpu_s for c in costs],
            )
        )
        rows.append(
            row(
                f"load, {name}",
                "images per second",
                "1/s",
                [n_images / cost.wall_s for cost in costs],
            )
        )
    return rows


def _epoch_cost(loader: Any, epoch: int) -> Cost:
    clock, cpu = time.monotonic(), time.process_time()
    for _ in loader.epoch(epoch):
        pass
    return Cost(time.monotonic() - clock, time.process_time() - cpu)


def train_rows(checkout: Checkout, *, epochs: int, seeds: int) -> list[Row]:
    """Test accuracy and training time, the same seeds through both paths in turn."""
    top1: dict[str, list[float]] = {name: [] for name in TRAINED_BY}
    costs: dict[str, list[Cost]] = {name: [] for name in TRAINED_BY}
    checkout.set_param("train.recipe", "quick")
    checkout.set_param("train.epochs", str(epochs))
    for seed in range(seeds):
        checkout.set_param("train.seed", str(seed))
        for name, views in TRAINED_BY.items():
            checkout.set_param("train.views", views)
            costs[name].append(run_stage(checkout, "train"))
            run_stage(checkout, "evaluate")
            metrics = json.loads(
                (checkout.folder / "line/evaluate/metrics.json").read_text(encoding="utf-8")
            )
            top1[name].append(metrics["test"]["top1"])
            print(f"{name}, seed {seed}: {top1[name][-1]:.2%}", flush=True)
    recipe = f"quick, {epochs} epoch{'s' if epochs > 1 else ''}"
    rows = [row(f"{recipe}, {name}", "top-1 on test", "share", top1[name]) for name in TRAINED_BY]
    rows += [
        row(f"{recipe}, {name}", "training CPU", "s", [cost.cpu_s for cost in costs[name]])
        for name in TRAINED_BY
    ]
    pairs = zip(*top1.values(), strict=True)
    case = "Perennial minus FFCV 1.0.2, same seed"
    return [*rows, row(case, "top-1 on test", "share", [ours - theirs for ours, theirs in pairs])]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training.cifar10", description=__doc__
    )
    parser.add_argument("archive", type=Path)
    parser.add_argument("--epochs", type=int, default=3, help="of each training (default 3)")
    parser.add_argument(
        "--seeds", type=int, default=3, help="trainings through each path (default 3)"
    )
    parser.add_argument(
        "--stages-only", action="store_true", help="time and memory of the stages up to convert"
    )
    options = parser.parse_args()
    if not options.archive.is_file():
        sys.exit(
            f"{options.archive}: no such archive. Remedy: name CIFAR-10 as train|test/<class>/<name> in a tar or zip"
        )
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with tempfile.TemporaryDirectory() as temporary:
        checkout = throw_away_checkout(Path(temporary) / "line")
        rows = line_rows(checkout, options.archive)
        if not options.stages_only:
            rows += load_rows(checkout)
            rows += train_rows(checkout, epochs=options.epochs, seeds=options.seeds)
    print(f"wrote {write_results('cifar10_stages' if options.stages_only else 'cifar10', rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
