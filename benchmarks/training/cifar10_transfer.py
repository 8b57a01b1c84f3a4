"""What starting weights win on small photographs: ten images of each of five classes of CIFAR-10, one core.

    python -m benchmarks.training.cifar10_transfer FOLDER [--line LINE] [--seeds 5]

FOLDER holds cifar10.tar and train_votes.csv.gz, see cifar10_training.py, which also says what LINE is. The weights are
learnt once, from all that `curate` selects of the five KNOWN classes, by `quick` in PRETRAINING epochs; they never see
the five others. A seed is another draw of ten training and ten validation images of each of those, and another seed
of training; all ways have the same, and are tested on the 5,000 published test images. Every training is the real
stage. Writes benchmarks/results/cifar10_transfer.json. Some 10 CPU minutes beside the stages.
"""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.support.results_file import Row, row, write_results
from benchmarks.training.cifar10_training import Cifar, arguments, opened
from pipeline_lib.tables.selection import SELECTION

KNOWN = ("airplane", "bird", "deer", "frog", "ship")
PRETRAINING = 6
PER_CLASS = 10
COMMON = {"recipe": "quick", "flip": True, "batch_size": 10}
PROBE = {"probe_epochs": 20, "probe_learning_rate": 0.01}
PLAIN = {"plain, 20 epochs": 20, "plain, 100 epochs": 100}
GENTLE = {"epochs": 20, "peak_learning_rate": 0.01, "first_layer_rate": 0.1}
FINE_TUNED = {
    "linear probe, one epoch of all layers at a rate of 0.0001": {
        **PROBE,
        "epochs": 1,
        "peak_learning_rate": 1e-4,
    },
    "linear probe, then 20 epochs of all layers": {**PROBE, **GENTLE},
}
TOP1 = "top-1 on test"


def transfer_rows(cifar: Cifar, seeds: int) -> list[Row]:
    """Accuracy of every way, and what it wins over the better of the plain ones by median."""
    selection = {
        split: SELECTION.read(cifar.folder / f"line/curate/selection/{split}.parquet").astype(
            {"class_id": "str"}
        )
        for split in ("train", "val")
    }
    known = {split: rows[rows["class_id"].isin(KNOWN)] for split, rows in selection.items()}
    new = {split: rows[~rows["class_id"].isin(KNOWN)] for split, rows in selection.items()}
    test = cifar.test[~cifar.test["class_id"].isin(KNOWN)]
    cpu = time.process_time()
    learnt = cifar.line.train(
        known["train"], known["val"], seed=0, recipe="quick", flip=True, epochs=PRETRAINING
    )
    cpu_min = (time.process_time() - cpu) / 60
    runs = [_ways(cifar, new, test, learnt, seed) for seed in range(seeds)]
    rows = [row(way, TOP1, "%", [run[way] for run in runs]) for way in runs[0]]
    medians = {one.case: one.median for one in rows}
    plain = max(PLAIN, key=medians.__getitem__)
    rows += [
        row(way, f"won over {plain}", "points", [run[way] - run[plain] for run in runs])
        for way in FINE_TUNED
    ]
    return [
        *rows,
        row("weights", "training images", "images", [len(known["train"])]),
        row("weights", "training CPU", "min", [cpu_min]),
        row("weights", "test images of the other classes", "images", [len(test)]),
    ]


def _ways(
    cifar: Cifar, new: dict[str, pd.DataFrame], test: pd.DataFrame, learnt: Path, seed: int
) -> dict[str, float]:
    """One draw: top-1 in percent of every way."""
    train, val = (
        new[split].groupby("class_id").sample(PER_CLASS, random_state=seed)
        for split in ("train", "val")
    )
    file = learnt / "model.safetensors"
    pinned = {"weights": str(file), "weights_sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    ways: dict[str, dict[str, Any]] = {way: {"epochs": epochs} for way, epochs in PLAIN.items()}
    ways |= {way: {**params, **pinned} for way, params in FINE_TUNED.items()}
    found = {}
    for way, params in ways.items():
        weights = cifar.line.train(train, val, seed=seed, **COMMON, **params)
        found[way] = 100 * float(cifar.line.right(weights, test).mean())
        print(f"seed {seed}, {way}: {found[way]:.1f} %", flush=True)
    return found


def main() -> int:
    """Command line."""
    parser = arguments("cifar10_transfer", __doc__)
    parser.add_argument("--seeds", type=int, default=5, help="how many draws (default 5)")
    options = parser.parse_args()
    with opened(options) as cifar:
        rows = transfer_rows(cifar, options.seeds)
    for one in rows:
        print(f"{one.case}: {one.metric} {one.median:.2f} {one.unit}", flush=True)
    print(f"wrote {write_results('cifar10_transfer', rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
