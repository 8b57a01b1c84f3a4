"""Row 18 of the acceptance table: votes of annotators of unequal quality, and of those who confuse classes.

    python -m benchmarks.curation.votes [--crowd-kit PYTHON] [--seeds 5]

Three crowds are simulated; each image gets its votes from annotators drawn at random. Spammers: 20 % guess and 5 % are
wrong nine times of ten, the others right with a probability drawn from Beta(8, 2); half of the errors go to one
confusable class. Confusing: each annotator has a probability of being right for each class, from Beta(6, 2), and
their own few classes for the errors. Even: right with a probability from Beta(8, 2), errors spread evenly, and one class
has 60 % of the images, another .2 %. "One-coin" is ours without a choice: infinite strengths. PYTHON:
an interpreter that has crowd-kit (`pip install crowd-kit` in an environment of its own), whose OneCoinDawidSkene and
DawidSkene then aggregate the same votes. Writes benchmarks/results/votes.json.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.curate import vote_errors
from pipeline_lib.curate.votes import aggregate, majority

SPAMMERS, ADVERSARIES = 0.2, 0.05
BLOCK_ROWS = 10_000
SHARES = (0.6, 0.2, 0.1, 0.05, 0.02, 0.01, 0.01, 0.005, 0.003, 0.002)
MOST_CLASSES_FOR_THEIRS = 10  # with 100 classes crowd-kit takes minutes a run
THEIRS = """
import sys, time, pandas as pd
from crowdkit.aggregation import DawidSkene, OneCoinDawidSkene
votes = pd.read_csv(sys.argv[1], dtype=str).rename(columns={"image_id": "task", "annotator": "worker"})
for name, method in (("one-coin", OneCoinDawidSkene), ("full", DawidSkene)):
    start = time.process_time()
    labels = method(n_iter=100).fit_predict(votes)
    labels.rename("label").rename_axis("image_id").reset_index().to_csv(sys.argv[2] + name, index=False)
    print(name, time.process_time() - start)
"""


@dataclass(frozen=True)
class Crowd:
    """votes: image_id, annotator, label. truth: class by image_id."""

    votes: pd.DataFrame
    truth: pd.Series


@dataclass(frozen=True)
class Setting:
    """How large a crowd votes on how much."""

    n_images: int
    n_classes: int
    n_annotators: int
    votes_each: int
    kind: str = "spammers"

    def __str__(self) -> str:
        size = f"{self.n_images} images x {self.n_classes} classes, {self.votes_each} votes each"
        if self.kind == "spammers":
            return size
        each = self.n_images * self.votes_each // self.n_annotators
        return f"{self.kind}: {size}, {each} by each annotator"


SETTINGS = (
    Setting(2000, 10, 40, 3),
    Setting(2000, 10, 40, 5),
    Setting(2000, 100, 40, 5),
    Setting(20_000, 10, 200, 3),
    Setting(2000, 10, 10, 3, "confusing"),
    Setting(2000, 10, 100, 3, "confusing"),
    Setting(2000, 10, 400, 3, "confusing"),
    Setting(300, 10, 3, 3, "confusing"),
    Setting(2000, 10, 20, 3, "even"),
)
LARGE = Setting(200_000, 1000, 2000, 3)


def draw_crowd(setting: Setting, seed: int) -> Crowd:
    """Simulated votes."""
    rng = np.random.default_rng(seed)
    n_images, n_classes, n_annotators = setting.n_images, setting.n_classes, setting.n_annotators
    truth = rng.integers(0, n_classes, n_images)
    if setting.kind == "even":
        truth = rng.choice(n_classes, n_images, p=SHARES)
    image = np.repeat(np.arange(n_images), setting.votes_each)
    middle = min(setting.votes_each, n_annotators - 1)
    drawn = []  # in blocks: a number for every image and annotator would be gigabytes
    for start in range(0, n_images, BLOCK_ROWS):
        order = rng.random((min(BLOCK_ROWS, n_images - start), n_annotators))
        drawn.append(order.argpartition(middle, axis=1)[:, : setting.votes_each])
    annotator = np.concatenate(drawn).ravel()
    said = SAID[setting.kind](rng, setting, annotator, truth[image])
    names = np.char.add("i", np.char.zfill(np.arange(n_images).astype(str), 6))
    columns = {
        "image_id": names[image],
        "annotator": annotator.astype(str),
        "label": said.astype(str),
    }
    return Crowd(pd.DataFrame(columns).astype("str"), pd.Series(truth.astype(str), index=names))


def _spammers(
    rng: np.random.Generator, setting: Setting, annotator: np.ndarray, truth: np.ndarray
) -> np.ndarray:
    n_classes = setting.n_classes
    accuracy = rng.beta(8, 2, setting.n_annotators)
    kind = rng.permutation(setting.n_annotators) / setting.n_annotators
    accuracy[kind < SPAMMERS] = 1 / n_classes
    accuracy[kind >= 1 - ADVERSARIES] = 0.1
    right = rng.random(len(truth)) < accuracy[annotator]
    anywhere = (truth + rng.integers(1, n_classes, len(truth))) % n_classes
    lookalike = truth ^ 1 if n_classes % 2 == 0 else anywhere
    return np.where(right, truth, np.where(rng.random(len(truth)) < 0.5, lookalike, anywhere))


def _confusing(
    rng: np.random.Generator, setting: Setting, annotator: np.ndarray, truth: np.ndarray
) -> np.ndarray:
    n_classes = setting.n_classes
    confusion_AKK = np.zeros((setting.n_annotators, n_classes, n_classes))
    for of_annotator in confusion_AKK:
        for true, said in enumerate(of_annotator):
            right = rng.beta(6, 2)
            few_classes = rng.dirichlet(np.full(n_classes - 1, 1 / (n_classes - 1)))
            said[:] = np.insert((1 - right) * few_classes, true, right)
    cumulative = confusion_AKK[annotator, truth].cumsum(axis=1)
    drawn = (rng.random((len(truth), 1)) > cumulative).sum(axis=1)
    return np.asarray(np.minimum(drawn, n_classes - 1))


def _even(
    rng: np.random.Generator, setting: Setting, annotator: np.ndarray, truth: np.ndarray
) -> np.ndarray:
    right = rng.random(len(truth)) < rng.beta(8, 2, setting.n_annotators)[annotator]
    wrong = (truth + rng.integers(1, setting.n_classes, len(truth))) % setting.n_classes
    return np.where(right, truth, wrong)


SAID = {"spammers": _spammers, "confusing": _confusing, "even": _even}


def accuracy(labels: pd.Series, crowd: Crowd) -> float:
    """Share of right labels, in percent."""
    return float(100 * (labels.reindex(crowd.truth.index) == crowd.truth).mean())


def compare(setting: Setting, seeds: int, crowd_kit: str | None) -> list[Row]:
    """Accuracy of the majority, of ours, and of crowd-kit's on the same votes."""
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        crowd = draw_crowd(setting, seed)
        found.setdefault("majority", []).append(accuracy(majority(crowd.votes), crowd))
        start = time.process_time()
        consensus = aggregate(crowd.votes, setting.n_classes).labels
        found.setdefault("CPU seconds, ours", []).append(time.process_time() - start)
        found.setdefault("one-coin", []).append(
            accuracy(one_coin(crowd.votes, setting.n_classes), crowd)
        )
        found.setdefault("ours", []).append(accuracy(consensus["label"], crowd))
        sure = consensus[consensus["posterior"] >= 0.9]
        found.setdefault("ours, posterior from .9", []).append(
            accuracy(sure["label"], Crowd(crowd.votes, crowd.truth[sure.index]))
        )
        found.setdefault("share with posterior from .9", []).append(
            100 * len(sure) / len(consensus)
        )
        other = crowd_kit if setting.n_classes <= MOST_CLASSES_FOR_THEIRS else None
        for name, value in _theirs(crowd, other).items():
            found.setdefault(name, []).append(value)
    for theirs in ("majority", "one-coin", "crowd-kit one-coin", "crowd-kit full"):
        if theirs in found:
            pairs = zip(found["ours"], found[theirs], strict=True)
            found[f"ours minus {theirs}"] = [a - b for a, b in pairs]
    print(
        setting,
        {name: round(float(np.median(values)), 2) for name, values in found.items()},
        flush=True,
    )
    return [
        row(f"row 18: {setting}", name, "s" if "seconds" in name else "%", values)
        for name, values in found.items()
    ]


def one_coin(votes: pd.DataFrame, n_classes: int) -> pd.Series:
    """Labels by the one-coin model, all classes equally probable before the votes."""
    with patch.object(vote_errors, "STRENGTHS", (np.inf,)):
        return aggregate(votes, n_classes).labels["label"]


def _theirs(crowd: Crowd, crowd_kit: str | None) -> dict[str, float]:
    if crowd_kit is None:
        return {}
    with tempfile.TemporaryDirectory() as temporary:
        votes, out = Path(temporary) / "votes.csv", Path(temporary) / "labels-"
        crowd.votes.to_csv(votes, index=False)
        command = [crowd_kit, "-c", THEIRS, str(votes), str(out)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            sys.exit(f"{crowd_kit}: crowd-kit failed\n{done.stderr[-2000:]}")
        figures: dict[str, float] = {}
        for line in done.stdout.splitlines():
            name, seconds = line.split()
            labels = pd.read_csv(f"{out}{name}", dtype=str).set_index("image_id")["label"]
            figures[f"crowd-kit {name}"] = accuracy(labels, crowd)
            figures[f"CPU seconds, crowd-kit {name}"] = float(seconds)
        return figures


def measured_apart(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds, and how far the peak memory of a process of its own rose, in MB."""
    results: multiprocessing.Queue[tuple[float, float]] = multiprocessing.Queue()

    def child() -> None:
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
        work()
        seconds = time.perf_counter() - start
        results.put((seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    measured = results.get(timeout=300)
    process.join()
    return measured


def cost_at_size(runs: int) -> list[Row]:
    """Time and memory of 600,000 votes on 1,000 classes, most of it for confusions."""
    crowd = draw_crowd(LARGE, 0)
    memory = [measured_apart(lambda: _aggregate_all(crowd))[1] for _ in range(runs)]
    start = time.process_time()
    _aggregate_all(crowd)
    cpu = time.process_time() - start
    print(LARGE, memory, cpu, flush=True)
    return [
        row(f"row 18: {LARGE}", "CPU", "s", [cpu]),
        row(f"row 18: {LARGE}", "extra memory", "MB", memory),
    ]


def _aggregate_all(crowd: Crowd) -> None:
    aggregate(crowd.votes, LARGE.n_classes)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curation.votes", description=__doc__
    )
    parser.add_argument("--crowd-kit", metavar="PYTHON", help="an interpreter that has crowd-kit")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    rows = [
        one for setting in SETTINGS for one in compare(setting, options.seeds, options.crowd_kit)
    ]
    print(f"wrote {write_results('votes', [*rows, *cost_at_size(3)])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
