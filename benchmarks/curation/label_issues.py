"""Rows 1 to 6 of the acceptance table: wrong labels found among digits, and confident learning at 200,000 x 1,000.

    python -m benchmarks.curation.label_issues [--seeds 5]

The 1,797 handwritten digits of scikit-learn, with 5 or 10 % of the labels flipped to any other class (uniform) or to
the class that people confuse it with (pair), described by the features of `inspect` (HOG, cut to the strongest
directions as `curate` does) and judged at the default parameters. The automatic tier is what `curate` leaves out of
training: doubted, and only where the out-of-fold accuracy allows it. The weak predictor sees only the three strongest
directions. cleanlab learns from the same vectors. Reliability: of labels with a probability to be wrong, how many are, on
draws from HELD_OUT on, which nobody looked at while choosing constants. Writes benchmarks/results/label_issues.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from cleanlab.count import compute_confident_joint
from cleanlab.filter import find_label_issues
from sklearn.datasets import load_digits, load_sample_images
from sklearn.metrics import average_precision_score

from benchmarks.curation.votes import measured_apart
from benchmarks.support.reliability import reliability_rows
from benchmarks.support.results_file import Row, row, write_results
from demo.annotators import LOOKALIKE
from pipeline_lib.curate import label_issues
from pipeline_lib.curate.confident_learning import confident_joint
from pipeline_lib.curate.inputs import axes_by_kind, cut
from pipeline_lib.curate.label_noise import estimate_noise
from pipeline_lib.curate.label_noise import judge as judge_labels
from pipeline_lib.curate.outliers import outlier_scores
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.inspect.hog import hog
from pipeline_lib.inspect.image import squeeze

PARAMS = CurateParams()
WEAK_DIRECTIONS = 3
STRANGERS = 0.02
HELD_OUT = 10
N_LARGE, K_LARGE = 200_000, 1000


@dataclass(frozen=True)
class Digits:
    """truth: class by image_id. features: kind and vector by image_id, cut as curate does; whole: uncut."""

    truth: pd.Series
    features: pd.DataFrame
    whole: pd.DataFrame


def read_digits() -> Digits:
    """All digits as `inspect` and `curate` describe them."""
    raw = load_digits()
    names = pd.Index([f"digits/{n:04d}" for n in range(len(raw.target))], name="image_id")
    grey = (raw.images * 255 / 16).round().astype(np.uint8)
    vectors = [hog(squeeze(one, side_px=64)) for one in grey]
    features = pd.DataFrame({"kind": "hog", "vector": vectors}, index=names)
    truth = pd.Series(raw.target.astype(str), index=names)
    return Digits(truth, cut(features, axes_by_kind(features, seed=0)), features)


def flip(truth: pd.Series, *, share: float, kind: str, seed: int) -> pd.Series:
    """The labels with a share of them wrong."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(truth))[: round(share * len(truth))]
    given = truth.copy()
    anywhere = (truth.iloc[chosen].astype(int) + rng.integers(1, 10, len(chosen))) % 10
    given.iloc[chosen] = (
        anywhere.astype(str) if kind == "uniform" else truth.iloc[chosen].map(LOOKALIKE)
    )
    return given


def judge(given: pd.Series, features: pd.DataFrame) -> label_issues.LabelIssues:
    """What `curate` thinks of these labels."""
    rows = pd.DataFrame({"class_id": given, "fold_group": given.index}, index=given.index).astype(
        "str"
    )
    return label_issues.find_label_issues(rows, features, PARAMS)


def planted_rows(digits: Digits, *, share: float, kind: str, seeds: int) -> list[Row]:
    """Rows 1, 2 and 3."""
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    for seed in range(seeds):
        given = flip(digits.truth, share=share, kind=kind, seed=seed)
        wrong, opinion = given != digits.truth, judge(given, digits.features)
        auto = opinion.frame["doubted"] & (opinion.accuracy >= PARAMS.cl_auto_min_accuracy)
        note("row 1: automatic tier, recall", (auto & wrong).sum() / wrong.sum())
        note("row 1: automatic tier, precision", (auto & wrong).sum() / auto.sum())
        note(
            "row 2: ranking, average precision",
            average_precision_score(wrong, opinion.frame["label_doubt"]),
        )
        worst = opinion.frame["label_doubt"].nlargest(int(wrong.sum())).index
        note("row 2: ranking, precision at k", wrong[worst].mean())
        note(
            "row 3: suggested label right",
            (opinion.frame["label_suggested"] == digits.truth)[auto & wrong].mean(),
        )
        note("estimated noise rate", opinion.noise_rate)
        for name, value in _cleanlabs(given, digits, wrong).items():
            note(name, value)
    case = f"{share:.0%} {kind} flips"
    print(
        case, {name: round(float(np.mean(values)), 3) for name, values in found.items()}, flush=True
    )
    return [_named(name, case, values) for name, values in found.items()]


def _named(name: str, case: str, values: list[float]) -> Row:
    number, _, metric = name.rpartition(": ")
    return row(f"{number}: {case}" if number else case, metric, "share", values)


def _cleanlabs(given: pd.Series, digits: Digits, wrong: pd.Series) -> dict[str, float]:
    """cleanlab's default (logistic regression, prune_by_noise_rate) on the same vectors."""
    from cleanlab.rank import get_self_confidence_for_each_label
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    codes, vectors = given.astype(int).to_numpy(), np.stack(digits.features["vector"])
    p_NK = cross_val_predict(
        LogisticRegression(max_iter=400), vectors, codes, cv=5, method="predict_proba"
    )
    issues = find_label_issues(codes, p_NK)
    return {
        "cleanlab, logistic regression, recall": (issues & wrong).sum() / wrong.sum(),
        "cleanlab, logistic regression, precision": (issues & wrong).sum() / issues.sum(),
        "cleanlab, logistic regression, average precision": average_precision_score(
            wrong, -get_self_confidence_for_each_label(codes, p_NK)
        ),
    }


def reliability(digits: Digits, seeds: int) -> list[Row]:
    """Both kinds of flips, 5 and 10 %, seen by all directions and by the weak predictor."""
    weak = digits.features["vector"].map(lambda vector: vector[:WEAK_DIRECTIONS])
    ways = {"digits": digits.features, "digits, weak": digits.features.assign(vector=weak)}
    rows: list[Row] = []
    for way, features in ways.items():
        scores, wrongs = [], []
        for seed in range(HELD_OUT, HELD_OUT + seeds):
            for share, kind in ((0.05, "uniform"), (0.1, "pair")):
                given = flip(digits.truth, share=share, kind=kind, seed=seed)
                scores.append(judge(given, features).frame["label_doubt"].to_numpy())
                wrongs.append((given != digits.truth).to_numpy())
        rows += reliability_rows(f"reliability: {way}", scores, wrongs)
    return rows


def clean_rows(digits: Digits) -> list[Row]:
    """Row 4: nothing is wrong."""
    flagged = judge(digits.truth, digits.features).frame["doubted"].mean()
    print(f"clean: {flagged:.3%} flagged", flush=True)
    return [row("row 4: clean digits", "flagged", "share", [float(flagged)])]


def weak_rows(digits: Digits, seeds: int) -> list[Row]:
    """Row 5: a predictor under the accuracy that the automatic tier asks for."""
    vectors = [vector[:WEAK_DIRECTIONS] for vector in digits.features["vector"]]
    features = digits.features.assign(vector=pd.Series(vectors, index=digits.features.index))
    rows = []
    for share, kind in ((0.05, "uniform"), (0.05, "pair"), (0.1, "uniform"), (0.1, "pair")):
        accuracies, automatic, precisions = [], [], []
        for seed in range(seeds):
            given = flip(digits.truth, share=share, kind=kind, seed=seed)
            opinion = judge(given, features)
            accuracies.append(opinion.accuracy)
            automatic.append(float(opinion.accuracy >= PARAMS.cl_auto_min_accuracy))
            precisions.append(
                average_precision_score(given != digits.truth, opinion.frame["label_doubt"])
            )
        case = f"row 5: weak predictor, {share:.0%} {kind} flips"
        print(case, np.mean(accuracies), np.mean(automatic), np.mean(precisions), flush=True)
        rows.append(row(case, "out-of-fold accuracy", "share", accuracies))
        rows.append(row(case, "automatic tier on", "share of runs", automatic))
        rows.append(row(case, "ranking, average precision", "share", precisions))
    return rows


def outlier_rows(digits: Digits, seeds: int) -> list[Row]:
    """Patches of two photographs, 2 % of the images, under labels of digits."""
    from sklearn.metrics import roc_auc_score

    n_strangers = round(STRANGERS * len(digits.truth))
    found: dict[str, list[float]] = {
        "AUROC": [],
        "average precision": [],
        "queued at the default that are strangers": [],
    }
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        photographs = [one.mean(axis=2) for one in load_sample_images().images]
        names = [f"strange/{n:03d}" for n in range(n_strangers)]
        vectors = []
        for n in range(n_strangers):
            photograph = photographs[n % 2]
            top, left = (int(rng.integers(0, size - 64)) for size in photograph.shape)
            small = squeeze(
                photograph[top : top + 64, left : left + 64].astype(np.uint8), side_px=8
            )
            vectors.append(hog(squeeze(small, side_px=64)))
        features = pd.concat(
            [digits.whole, pd.DataFrame({"kind": "hog", "vector": vectors}, index=names)]
        )
        labels = pd.Series(rng.integers(0, 10, n_strangers).astype(str), index=names)
        rows = pd.DataFrame({"class_id": pd.concat([digits.truth, labels])})
        scores = outlier_scores(rows, cut(features, axes_by_kind(features, seed=0)), PARAMS)
        strange = scores.index.isin(names)
        found["AUROC"].append(roc_auc_score(strange, scores))
        found["average precision"].append(average_precision_score(strange, scores))
        found["queued at the default that are strangers"].append(
            strange[scores > PARAMS.ood_spreads].mean()
        )
    case = f"outliers: {STRANGERS:.0%} patches of photographs among digits"
    print(
        case, {name: round(float(np.mean(values)), 3) for name, values in found.items()}, flush=True
    )
    return [row(case, name, "share", values) for name, values in found.items()]


def size_rows(runs: int) -> list[Row]:
    """Row 6: time and memory at 200,000 x 1,000 from a memory map on disk, and cleanlab's off-diagonals."""
    with tempfile.TemporaryDirectory() as folder:
        labels = _large_matrix(Path(folder) / "p.npy")
        p_NK = np.load(Path(folder) / "p.npy", mmap_mode="r")
        measured = [
            measured_apart(lambda: _read_and_count(Path(folder) / "p.npy", labels))
            for _ in range(runs)
        ]
        start = time.perf_counter()
        _, theirs = compute_confident_joint(
            labels, p_NK.astype(np.float32), return_indices_of_off_diagonals=True
        )
        cleanlab_s = time.perf_counter() - start
        tracemalloc.start()
        ours = confident_joint(p_NK, labels).off_diagonal(labels)
        allocated_mb = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        judged = [
            measured_apart(lambda: _judge_all(Path(folder) / "p.npy", labels)) for _ in range(runs)
        ]
    case = f"row 6: confident learning, {N_LARGE} x {K_LARGE}, float16"
    same = len(np.intersect1d(ours, theirs)) / len(np.union1d(ours, theirs))
    print(case, measured, allocated_mb, cleanlab_s, same, flush=True)
    return [
        row(case, "wall", "s", [seconds for seconds, _ in measured]),
        row(case, "extra memory, allocated", "MB", [allocated_mb]),
        row(
            case,
            "extra memory, with the pages of the mapped file",
            "MB",
            [memory for _, memory in measured],
        ),
        row(case, "off-diagonals equal to cleanlab's (Jaccard)", "share", [same]),
        row(case, "wall, cleanlab's compute_confident_joint", "s", [cleanlab_s]),
        row("judging 200000 x 1000", "wall", "s", [seconds for seconds, _ in judged]),
        row("judging 200000 x 1000", "extra memory", "MB", [memory for _, memory in judged]),
    ]


def _large_matrix(path: Path) -> np.ndarray:
    """Probabilities as a predictor of 75 % accuracy gives them, written block by block; returns labels, 5 % wrong."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, K_LARGE, N_LARGE)
    p_NK = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(N_LARGE, K_LARGE))
    for start in range(0, N_LARGE, 10_000):
        rows = slice(start, start + 10_000)
        score = rng.standard_normal((10_000, K_LARGE), dtype=np.float32)
        score[np.arange(10_000), truth[rows]] += rng.normal(5, 2, 10_000)
        score = np.exp(1.5 * score)
        p_NK[rows] = score / score.sum(axis=1, keepdims=True)
    p_NK.flush()
    return np.where(rng.random(N_LARGE) < 0.05, rng.integers(0, K_LARGE, N_LARGE), truth)


def _read_and_count(path: Path, labels: np.ndarray) -> None:
    confident_joint(np.load(path, mmap_mode="r"), labels)


def _judge_all(path: Path, labels: np.ndarray) -> None:
    p_NK = np.load(path, mmap_mode="r")
    draw = np.random.default_rng(0).random(len(labels))
    judge_labels(p_NK, labels, estimate_noise(p_NK, labels, confident_joint(p_NK, labels), draw))


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curation.label_issues", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    digits = read_digits()
    rows = [*size_rows(3), *clean_rows(digits)]
    for share in (0.05, 0.1):
        for kind in ("uniform", "pair"):
            rows += planted_rows(digits, share=share, kind=kind, seeds=seeds)
    rows += [*weak_rows(digits, seeds), *reliability(digits, seeds), *outlier_rows(digits, seeds)]
    print(f"wrote {write_results('label_issues', rows, also=['cleanlab'])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
