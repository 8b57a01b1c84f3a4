"""What it is worth that training keeps the memory it freed (networks/device.py): CPU seconds, page faults, peak.

    python -m benchmarks.speed.freed_memory [--rounds 5]

The same steps in a fresh process each, in turn with and without it, now one first and now the other; one thread.
Writes benchmarks/results/freed_memory.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the stage harness does

import torch

from benchmarks.speed.training import N_CLASSES, Case, new_learner
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.loader import Batch
from pipeline_lib.networks import device

CASES = {
    case.name: case
    for case in (
        Case("mini_resnet", 32, 64, 0, steps=20),
        Case("resnet18", 64, 32, 0, steps=10),
        Case("vgg11", 128, 8, 0, steps=5),
    )
}
WARM_UP = 3  # steps
SIDES = ("given back", "kept")
PER_STEP = {"CPU time": "s/step", "page faults": "1/step"}


def steps_of(case: Case) -> dict[str, float]:
    """Figures of a step in this process: medians; and the peak of memory."""
    cpu = device.choose_device("cpu", threads=1, seed=0)
    learner = new_learner(case.recipe, case, cpu)
    learner.begin_epoch()
    images_BHWC = torch.randint(
        0, 256, (case.batch_size, case.side_px, case.side_px, 3), dtype=torch.uint8
    )
    labels_B = torch.arange(case.batch_size) % N_CLASSES
    batch = Batch(images_BHWC, labels_B, torch.ones(case.batch_size), torch.arange(case.batch_size))
    taken: dict[str, list[float]] = {name: [] for name in PER_STEP}
    for _ in range(WARM_UP + case.steps):
        began, faults = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        learner.update(batch, rate=0.01)
        taken["CPU time"].append(time.process_time() - began)
        taken["page faults"].append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
    medians = {name: statistics.median(values[WARM_UP:]) for name, values in taken.items()}
    return {**medians, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}


def measure(name: str, rounds: int) -> list[Row]:
    """Both sides in turn, each round in new processes."""
    taken: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side in sorted(SIDES, reverse=bool(number % 2)):
            command = [
                sys.executable,
                "-m",
                "benchmarks.speed.freed_memory",
                "--case",
                name,
                "--side",
                side,
            ]
            said = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
            taken[side].append(json.loads(said))
    ratios = [
        kept["CPU time"] / given["CPU time"]
        for given, kept in zip(taken["given back"], taken["kept"], strict=True)
    ]
    print(f"{name}: {statistics.median(ratios):.3f} of the CPU time", flush=True)
    units = {**PER_STEP, "peak": "MB"}
    rows = [
        row(name, f"{figure}, freed memory {side}", unit, [one[figure] for one in taken[side]])
        for figure, unit in units.items()
        for side in SIDES
    ]
    return [row(name, "CPU time, kept to given back", "ratio", ratios), *rows]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.freed_memory", description=__doc__
    )
    parser.add_argument("--rounds", type=int, default=5, help="pairs of processes (default 5)")
    parser.add_argument(
        "--case", choices=CASES, help="print one side's figures of this process instead"
    )
    parser.add_argument("--side", choices=SIDES, default="kept", help="with --case")
    options = parser.parse_args()
    if options.case:
        if options.side == "given back":
            device.keep_freed_memory = lambda: None
        print(json.dumps(steps_of(CASES[options.case])))
        return
    rows = [one for name in CASES for one in measure(name, options.rounds)]
    print(f"wrote {write_results('freed_memory', rows)}")


if __name__ == "__main__":
    main()
