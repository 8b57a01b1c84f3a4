"""What the ways to learn from more than plain labels win, on the digits of scikit-learn: gain over the plain run.

    python -m benchmarks.training.learning [--seeds 5] [--only quick transfer distillation imbalance semi-supervised
                                           votes]

Every run is the real train stage on real betons, tested on 360 digits that it never saw. A seed is another draw of
training, validation and test images and another seed of the training; both sides of a comparison have the same.
The draws 20, 21, ... were not looked at while choosing defaults. All but `quick` and LeNet see 16 px, a
quarter of the work. `--only` replaces the rows of those cases and keeps the others. Writes
benchmarks/results/learning.json. Some 20 CPU minutes on a core without AVX-512.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the stage harness does

import numpy as np
import pandas as pd

from benchmarks.support.digit_line import DigitLine
from benchmarks.support.results_file import Row, kept_rows, row, write_results

FIRST_SEED = 20
SMALL = {"side_px": 16, "shift_px": 1}
KNOWN, NEW = list("01234"), list("56789")  # classes
LARGEST, SMALLEST = 120, 6  # training images of digit 0 and of digit 9
TAIL = list("6789")

Found = dict[str, list[float]]


def quick(line: DigitLine, seed: int) -> dict[str, float]:
    """The default recipe."""
    split = line.split(seed)
    return {"quick": line.right(line.train(split.train, split.val, seed=seed), split.test).mean()}


def transfer(line: DigitLine, seed: int) -> dict[str, float]:
    """Ten images of each of five classes: from nothing, and from weights trained on the five others.

    The second is a linear probe, then all layers, the first at a tenth of the rate. Ten epochs are 30 steps.
    """
    split = line.split(seed)
    parts = {
        name: [_of(rows, name) for rows in (split.train, split.val, split.test)]
        for name in ("known", "new")
    }
    (train, val, _), (new, new_val, test) = parts["known"], parts["new"]
    few, few_val = _sample(new, 10, seed), _sample(new_val, 4, seed)
    weights = line.train(train, val, seed=seed, **SMALL)
    pinned = {"weights": str(weights / "model.safetensors"), "weights_sha256": _digest(weights)}
    gentle = {"probe_epochs": 20, "probe_learning_rate": 0.01, "first_layer_rate": 0.1}
    found = {}
    for epochs in (10, 60):
        common = {"seed": seed, "epochs": epochs, "batch_size": 16, **SMALL}
        from_nothing = line.train(few, few_val, **common)
        from_weights = line.train(few, few_val, **common, **gentle, **pinned)
        found[f"plain, {epochs} epochs"] = line.right(from_nothing, test).mean()
        found[f"from weights of five other classes, {epochs} epochs"] = line.right(
            from_weights, test
        ).mean()
    return found


def distillation(line: DigitLine, seed: int) -> dict[str, float]:
    """LeNet on a tenth of the images, alone and with the answers of a mini-ResNet that was trained on all.

    The teacher learns without label smoothing, which would wash out what it knows of wrong classes (Müller et al. 2019,
    arXiv 1906.02629).
    """
    split = line.split(seed)
    teacher = line.train(split.train, split.val, seed=seed, label_smoothing=0.0, **SMALL)
    pinned = {"teacher": str(teacher), "teacher_sha256": _digest(teacher)}
    few = split.train.groupby("label").sample(frac=0.1, random_state=seed)
    student, rest = {"seed": seed, "network": "lenet", "epochs": 60}, split.train.drop(few.index)
    ways = {
        "plain": line.train(few, split.val, **student),
        "with a teacher": line.train(few, split.val, **student, **pinned),
        "with a teacher and the rest unlabelled": line.train(
            few, split.val, unlabelled=rest, **student, **pinned
        ),
        "the teacher": teacher,
    }
    return {way: line.right(weights, split.test).mean() for way, weights in ways.items()}


def imbalance(line: DigitLine, seed: int) -> dict[str, float]:
    """From 120 training images of digit 0 in even ratios down to 6 of digit 9; tested on all classes alike."""
    split = line.split(seed)
    sizes = np.round(LARGEST * (SMALLEST / LARGEST) ** (np.arange(10) / 9)).astype(int)
    train = pd.concat(
        [_of_class(split.train, k).sample(n, random_state=seed) for k, n in enumerate(sizes)]
    )
    counts = train["label"].map(train["label"].value_counts())
    weighted = train.assign(weight=len(train) / counts / 10)
    common = {"seed": seed, "epochs": 25, **SMALL}
    ways = {
        "plain": line.train(train, split.val, **common),
        "class weights": line.train(weighted, split.val, **common),
        "balanced sampling": line.train(train, split.val, sampling="balanced", **common),
        "logit adjustment": line.train(train, split.val, logit_adjustment=1.0, **common),
    }
    found = {}
    for way, weights in ways.items():
        right = line.right(weights, split.test).groupby(level=0).mean()
        found[way] = right.mean()
        found |= {f"{way}, {digit}": right[digit] for digit in right.index}
    return found


def semi_supervised(line: DigitLine, seed: int) -> dict[str, float]:
    """A tenth of the labels: those images alone, and with the other nine tenths without a label."""
    split = line.split(seed)
    few = split.train.groupby("label").sample(frac=0.1, random_state=seed)
    val, rest = _sample(split.val, 4, seed), split.train.drop(few.index)
    common = {"seed": seed, "epochs": 100, **SMALL}
    ways = {
        "plain": line.train(few, val, **common),
        "one round": line.train(few, val, unlabelled=rest, **common),
    }
    return {way: line.right(weights, split.test).mean() for way, weights in ways.items()}


def votes(line: DigitLine, seed: int) -> dict[str, float]:
    """Half of the images, three votes each, right in 60 %: the winner as the label, and the posterior."""
    split, rng = line.split(seed), np.random.default_rng(seed)
    train = split.train.groupby("label").sample(frac=0.5, random_state=seed)
    soft_NK = _posterior(train["label"].to_numpy(), rng)
    label = soft_NK.argmax(1)
    given = train.assign(label=label, class_id=label.astype(str))
    soft = _long(pd.DataFrame(soft_NK, index=train["image_id"], columns=list("0123456789")))
    common = {"seed": seed, "epochs": 15, **SMALL}
    return {
        "plain": line.right(line.train(given, split.val, **common), split.test).mean(),
        "soft labels": line.right(
            line.train(given, split.val, soft=soft, **common), split.test
        ).mean(),
        "the winner is right": (label == train["label"]).mean(),
    }


CASES: dict[str, Callable[[DigitLine, int], dict[str, float]]] = {
    "quick": quick,
    "transfer": transfer,
    "distillation": distillation,
    "imbalance": imbalance,
    "semi-supervised": semi_supervised,
    "votes": votes,
}


def rows_of(case: str, runs: Sequence[dict[str, float]]) -> list[Row]:
    """Accuracy of every way, and its gain over the plain run of the same seed, in percent and points."""
    rows = [row(case, way, "%", [float(100 * run[way]) for run in runs]) for way in runs[0]]
    for way in runs[0]:
        plain = "plain" + "".join(way.partition(", ")[1:])
        if plain in runs[0] and way != plain and not way.startswith("the "):
            rows.append(
                row(
                    case,
                    f"gain of {way}",
                    "points",
                    [float(100 * (run[way] - run[plain])) for run in runs],
                )
            )
    return rows


def _posterior(labels_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of three votes, each right in 60 % and else any other class: probabilities of ten classes, prior uniform."""
    score_NK = np.zeros((len(labels_N), 10))
    for _ in range(3):
        wrong_N = (labels_N + rng.integers(1, 10, len(labels_N))) % 10
        said_N = np.where(rng.random(len(labels_N)) < 0.6, labels_N, wrong_N)
        score_NK[np.arange(len(labels_N)), said_N] += np.log(0.6 / (0.4 / 9))
    odds_NK = np.exp(score_NK + rng.uniform(0, 1e-6, score_NK.shape))  # ties fall at random
    return odds_NK / odds_NK.sum(1, keepdims=True)


def _of(rows: pd.DataFrame, part: str) -> pd.DataFrame:
    return rows[rows["class_id"].isin(KNOWN if part == "known" else NEW)]


def _of_class(rows: pd.DataFrame, label: int) -> pd.DataFrame:
    return rows[rows["label"] == label]


def _sample(rows: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    return rows.groupby("label").sample(n, random_state=seed)


def _digest(weights: Path) -> str:
    return hashlib.sha256((weights / "model.safetensors").read_bytes()).hexdigest()


def _long(soft: pd.DataFrame) -> pd.DataFrame:
    """SOFT_LABELS of probabilities by image_id (index) and class_id (columns)."""
    named = soft.rename_axis(index="image_id", columns="class_id").stack()  # noqa: PD013 - melt would lose the index
    return named.rename("probability").reset_index()


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training.learning", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=5, help="how many (default 5)")
    parser.add_argument(
        "--only", nargs="+", choices=CASES, default=list(CASES), help="cases (default all)"
    )
    options = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        line = DigitLine(Path(temporary))
        for case in options.only:
            runs = []
            for seed in range(FIRST_SEED, FIRST_SEED + options.seeds):
                runs.append(CASES[case](line, seed))
                shown = {
                    way: round(float(100 * share), 1)
                    for way, share in runs[-1].items()
                    if way[-3:-1] != ", "
                }
                print(f"{case}, seed {seed}: {shown}", flush=True)
            rows += rows_of(case, runs)
    rows += kept_rows("learning", but=options.only)
    order = list(CASES)
    print(f"wrote {write_results('learning', sorted(rows, key=lambda one: order.index(one.case)))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
