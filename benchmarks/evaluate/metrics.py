"""Are the figures of `evaluate` those of scikit-learn and torchmetrics? And what do they cost at 1,000 classes?

`python -m benchmarks.evaluate.metrics` compares every figure on random tables of probabilities, and on those of twelve
kinds on which metrics tend to err (ties, zeros and ones, one image, classes without images, never answered, confidences
on the edges of bins, all right, all wrong, ...): testing/score_tables.py. It exits with 1 where one differs by more than
1e-9. Then it measures CPU seconds, and the memory above that of the logits, for 50,000 images of 1,000 classes, in a
process of its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from benchmarks.support.made_line import made_logits
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.evaluate.predictions import log_softmax, uncalibrated
from pipeline_lib.evaluate.ranking import operating_points
from pipeline_lib.evaluate.selective import selective_curve, thresholds
from pipeline_lib.evaluate.summary import summarise
from testing.score_tables import (
    Floats,
    Labels,
    hard_tables,
    largest_difference,
    of_scikit_learn,
    of_torchmetrics,
    ours,
    random_table,
)

ALLOWED = 1e-9
ORACLES = {"scikit-learn": of_scikit_learn, "torchmetrics": of_torchmetrics}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=300, help="of each kind")
    parser.add_argument("--costs", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.costs:
        print(*costs())
        return 0
    rows = identities(options.tables)
    command = [sys.executable, "-m", "benchmarks.evaluate.metrics", "--costs"]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    seconds, megabytes = map(float, said.split())
    scale = "50,000 images of 1,000 classes"
    rows += [row(scale, "CPU", "s", [seconds]), row(scale, "memory", "MB", [megabytes])]
    print(f"wrote {write_results('metrics', rows, also=('torchmetrics',))}")
    differing = [one for one in rows if one.metric in ORACLES and not one.max <= ALLOWED]
    for one in differing:
        print(f"{one.case}: differs from {one.metric} by {one.max:.2g}")
    return 1 if differing else 0


def identities(n_tables: int) -> list[Row]:
    """Of each kind of table, the largest difference of a figure from each library's."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for seed in range(n_tables):
        for kind, p_NK, labels_N in tables(np.random.default_rng(seed)):
            here = ours(p_NK, labels_N)
            for library, oracle in ORACLES.items():
                found[kind, library].append(largest_difference(here, oracle(p_NK, labels_N)))
    return [row(kind, library, "difference", found[kind, library]) for kind, library in found]


def tables(random: np.random.Generator) -> Iterator[tuple[str, Floats, Labels]]:
    """A random table, and one of each hard kind."""
    yield "random", *random_table(random)
    yield from hard_tables(random)


def costs() -> tuple[float, float]:
    """CPU seconds of all figures of one split, and the most memory above that before, in MB."""
    logits_NK, labels_N = made_logits()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    log_p_NK = log_softmax(logits_NK, temperature=1.1)
    p_NK = np.exp(log_p_NK, out=log_p_NK)
    found = summarise(p_NK, labels_N, rounds=1000, seed=0)
    uncalibrated(logits_NK, labels_N)
    thresholds(found.certainty)
    selective_curve(found.certainty)
    ids = [str(k) for k in range(p_NK.shape[1])]
    operating_points(found.curves, p_NK, labels_N, class_ids=ids)
    seconds = time.process_time() - start
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


if __name__ == "__main__":
    sys.exit(main())
