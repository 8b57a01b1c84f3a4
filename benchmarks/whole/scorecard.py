"""The demo's scorecard over five plant seeds, and its top-1 over five training seeds.

    python -m benchmarks.whole.scorecard [--seeds 5]

Every seed runs the whole line in a throw-away checkout of this working tree. Writes benchmarks/results/scorecard.json;
the minimum of each share is the figure to quote. Some minutes a seed on two cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.support.results_file import Row, row, write_results
from demo.targets import missed
from testing.checkout import Checkout, throw_away_checkout

COUNTS = {"leaks": "pairs", "leaks_planted": "pairs", "gps_found": "files", "n_test": "images"}
Figures = Mapping[str, float]


def score_seed(checkout: Checkout, *, plant_seed: int) -> Figures:
    """Plant, run the line, and score it with votes and without."""
    checkout.python("demo.plant", "--seed", str(plant_seed))
    checkout.repro()
    return _figures(checkout, f"plant seed {plant_seed}", "--without-votes")


def train_seed(checkout: Checkout, seed: int) -> Figures:
    """Train and evaluate the same images with another seed."""
    checkout.set_param("train.seed", str(seed))
    checkout.repro()
    return _figures(checkout, f"training seed {seed}")


def rows_of(case: str, runs: Iterable[Figures]) -> list[Row]:
    """One row per figure, over all runs."""
    runs = list(runs)
    return [row(case, key, COUNTS.get(key, "share"), [run[key] for run in runs]) for key in runs[0]]


def _figures(checkout: Checkout, case: str, *options: str) -> Figures:
    checkout.python("demo.score", *options)
    content = json.loads((checkout.folder / "demo/out/score.json").read_text(encoding="utf-8"))
    figures = {key: value for key, value in content.items() if isinstance(value, int | float)}
    print(
        f"{case}: top-1 {figures['top1_true']:.2%}; {'; '.join(missed(figures)) or 'all targets met'}",
        flush=True,
    )
    return figures


def main() -> int:
    """Command line; 1 when a target was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.whole.scorecard", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=5, help="how many of each (default 5)")
    seeds = range(parser.parse_args().seeds)
    with tempfile.TemporaryDirectory() as temporary:
        checkout = throw_away_checkout(Path(temporary) / "line")
        # Another plant seed withdraws files of the one before.
        checkout.set_param("discover.max_withdrawn_rate", "1")
        planted = [score_seed(checkout, plant_seed=seed) for seed in seeds]
        checkout.python("demo.plant", "--seed", "0")
        trained = [train_seed(checkout, seed) for seed in seeds]
    rows = rows_of(f"plant seeds 0 to {seeds[-1]}", planted)
    rows += rows_of(
        f"training seeds 0 to {seeds[-1]}", [{"top1_true": run["top1_true"]} for run in trained]
    )
    print(f"wrote {write_results('scorecard', rows)}")
    return int(any(missed(run) for run in [*planted, *trained]))


if __name__ == "__main__":
    sys.exit(main())
