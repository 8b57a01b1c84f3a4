"""Wrong labels among CIFAR-10's training images, as people really made them (CIFAR-10N).

    python -m benchmarks.curation.cifar10_labels FOLDER [--features hog patches] [--noise worst aggregate]

FOLDER holds cifar10.tar (`train/<class>/<name>.jpg`) and train_votes.csv.gz (CIFAR-10N, Wei et al. 2022; its licence
forbids commerce, so it is no part of this repository). `worst` is a wrong label wherever one of three people gave one
(40 %), `aggregate` their majority (9 %); the published labels count as the truth. Ours: `curate`'s three predictors and
its rank, at default parameters. cleanlab's, on the same features, folds and training rows: logistic regression, as its
CleanLearning has by default, with its best rank (self-confidence) and its default filter; and the same rank and filter
on our probabilities. Features: `hog`, what `inspect` writes without a weight file; `patches`, for comparison, whitened
6 x 6 colour patches (Coates, Lee, Ng, AISTATS 2011: 128 random patches, both signs, pooled over quadrants), cut to 128
directions like all features. No pre-trained network is used. Writes benchmarks/results/cifar10_labels.json.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from simplejpeg import decode_jpeg
from sklearn.metrics import average_precision_score

from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.curate import label_issues as room
from pipeline_lib.curate.confident_learning import confident_joint, label_doubt
from pipeline_lib.curate.inputs import axes_by_kind, cut
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.inspect.hog import hog
from pipeline_lib.inspect.image import squeeze

PARAMS = CurateParams()
SIDE, FILTERS, QUIET = 6, 128, 0.25


@dataclass(frozen=True)
class Images:
    """images_NHWC: uint8. table: label (published), worst and aggregate by member, in the same order."""

    images_NHWC: NDArray[np.uint8]
    table: pd.DataFrame


def read_images(folder: Path) -> Images:
    """The training images and their labels."""
    table = pd.read_csv(folder / "train_votes.csv.gz", dtype=str).set_index("member").sort_index()
    found = {}
    with tarfile.open(folder / "cifar10.tar") as archive:
        for member in archive:
            data = archive.extractfile(member) if member.name in table.index else None
            if data is not None:
                found[member.name] = decode_jpeg(data.read())
    return Images(np.stack([found[name] for name in table.index]), table)


def hog_vectors(images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What `inspect` describes them by."""
    grey = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images_NHWC)
    return np.stack([hog(squeeze(one, side_px=64)) for one in grey])


def patch_vectors(images_NHWC: NDArray[np.uint8], seed: int = 0) -> NDArray[np.float32]:
    """Responses to whitened random patches of the images themselves, every second pixel, pooled over quadrants."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    filters_FCHW, offsets_F = _filters(images_NHWC, seed)
    box = torch.full((1, 3, SIDE, SIDE), 1 / (3 * SIDE**2))
    pooled = []
    with torch.inference_mode():
        for start in range(0, len(images_NHWC), 256):
            x = torch.from_numpy(images_NHWC[start : start + 256]).permute(0, 3, 1, 2).float()
            mean = functional.conv2d(x, box, stride=2)
            variance = (functional.conv2d(x * x, box, stride=2) - mean * mean).clamp(min=0)
            response = (
                functional.conv2d(x, filters_FCHW, stride=2) * torch.rsqrt(variance + 10)
                - offsets_F
            )
            parts = (torch.relu(response - QUIET), torch.relu(-response - QUIET))
            pooled.append(
                torch.cat([functional.adaptive_avg_pool2d(part, 2) for part in parts], 1)
                .flatten(1)
                .numpy()
            )
    vectors = np.concatenate(pooled)
    return np.asarray((vectors - vectors.mean(axis=0)) / vectors.std(axis=0), dtype=np.float32)


def _filters(images_NHWC: NDArray[np.uint8], seed: int) -> tuple[Any, Any]:
    import torch

    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, len(images_NHWC), 40_000)
    tops, lefts = rng.integers(0, 33 - SIDE, (2, 40_000))
    cuts = [
        images_NHWC[n, t : t + SIDE, left : left + SIDE]
        for n, t, left in zip(numbers, tops, lefts, strict=True)
    ]
    patches = np.stack(cuts).transpose(0, 3, 1, 2).reshape(len(cuts), -1).astype(np.float32)
    patches -= patches.mean(axis=1, keepdims=True)
    patches /= np.sqrt(patches.var(axis=1, keepdims=True) + 10)
    centre = patches.mean(axis=0)
    values, vectors = np.linalg.eigh((patches - centre).T @ (patches - centre) / len(patches))
    whiten = (vectors / np.sqrt(values + 0.1)) @ vectors.T
    chosen = ((patches - centre) @ whiten)[rng.choice(len(patches), FILTERS, replace=False)]
    filters = chosen / np.linalg.norm(chosen, axis=1, keepdims=True) @ whiten
    offsets = filters @ centre
    filters -= filters.mean(axis=1, keepdims=True)
    shaped = torch.from_numpy(filters.reshape(FILTERS, 3, SIDE, SIDE).astype(np.float32))
    return shaped, torch.from_numpy(offsets.astype(np.float32))[:, None, None]


@dataclass(frozen=True)
class OutOfFold:
    """Probabilities [N, K] of our three predictors together, and of the logistic regression among them."""

    ours: NDArray[np.float64]
    logistic: NDArray[np.float64]
    seconds: float


def out_of_fold(
    vectors_ND: NDArray[np.float32], codes: NDArray[np.int64], names: pd.Index
) -> OutOfFold:
    """What `find_label_issues` computes, with the logistic regression's own probabilities kept."""
    start = time.perf_counter()
    scaled = room._unit_scale(vectors_ND)
    fold, draw = room.folds_of(
        pd.Series(names, index=names), codes, n_folds=PARAMS.cl_folds, salt=PARAMS.split_salt
    )
    n_classes = int(codes.max()) + 1
    ours, logistic = (np.zeros((len(codes), n_classes)) for _ in range(2))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="sklearn")
        for k in range(PARAMS.cl_folds):
            learn = room._sample(np.flatnonzero(fold != k), draw, PARAMS.cl_train_rows)
            models = room._fit(scaled[learn], codes[learn], n_classes=n_classes, seed=PARAMS.seed)
            held = np.flatnonzero(fold == k)
            ours[held] = room._consensus(models, scaled[held], n_classes)
            logistic[held] = models[0].predict_proba(scaled[held])
    return OutOfFold(ours, logistic, time.perf_counter() - start)


def judged_rows(
    case: str, found: OutOfFold, codes: NDArray[np.int64], truth: NDArray[np.int64]
) -> list[Row]:
    """Average precision, precision and recall of everybody."""
    wrong = codes != truth
    half = found.ours.astype(np.float16)
    joint = confident_joint(half, codes)
    doubt = label_doubt(half, codes, joint.thresholds)
    rows = [
        row(case, "wrong labels", "share", [float(wrong.mean())]),
        row(
            case,
            "ours, accuracy out of fold against the truth",
            "share",
            [_accuracy(found.ours, truth)],
        ),
        row(case, "ours, noise rate estimated", "share", [joint.noise_rate]),
        row(
            case, "ours, average precision", "share", [float(average_precision_score(wrong, doubt))]
        ),
        row(case, "ours, seconds", "s", [found.seconds]),
    ]
    p_given = found.ours[np.arange(len(codes)), codes]
    margin = found.ours.max(axis=1) - p_given > PARAMS.cl_margin
    n_estimated = round(joint.noise_rate * len(codes))
    first = np.zeros(len(codes), bool)
    first[np.argsort(-doubt, kind="stable")[:n_estimated]] = True
    rows += _found(case, "ours, over the margin", margin, wrong)
    rows += _found(case, "ours, as many of the rank as confident learning estimates", first, wrong)
    for name, p_NK in (("logistic regression", found.logistic), ("our probabilities", found.ours)):
        quality = get_label_quality_scores(codes, p_NK, method="self_confidence")
        average = float(average_precision_score(wrong, -quality))
        rows.append(row(case, f"cleanlab on {name}, average precision", "share", [average]))
        rows += _found(
            case,
            f"cleanlab on {name}, default filter",
            find_label_issues(codes, p_NK, n_jobs=1),
            wrong,
        )
    return rows


def _accuracy(p_NK: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    return float((p_NK.argmax(axis=1) == truth).mean())


def _found(case: str, name: str, chosen: NDArray[np.bool_], wrong: NDArray[np.bool_]) -> list[Row]:
    right = (chosen & wrong).sum()
    return [
        row(case, f"{name}, recall", "share", [float(right / wrong.sum())]),
        row(case, f"{name}, precision", "share", [float(right / max(chosen.sum(), 1))]),
    ]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curation.cifar10_labels", description=__doc__
    )
    parser.add_argument("folder", type=Path)
    makers = {"hog": hog_vectors, "patches": patch_vectors}
    parser.add_argument("--features", nargs="+", choices=list(makers), default=list(makers))
    parser.add_argument(
        "--noise", nargs="+", choices=("worst", "aggregate"), default=["worst", "aggregate"]
    )
    options = parser.parse_args()
    if not (options.folder / "cifar10.tar").is_file():
        sys.exit(
            f"{options.folder}: holds no cifar10.tar. Remedy: name the folder of CIFAR-10 and its votes"
        )
    images = read_images(options.folder)
    truth = pd.Categorical(images.table["label"]).codes.astype(np.int64)
    rows: list[Row] = []
    for name in options.features:
        start = time.perf_counter()
        vectors = pd.Series(list(makers[name](images.images_NHWC)), index=images.table.index)
        rows.append(
            row(f"CIFAR-10, {name}", "features", "ms per image", [_each_ms(start, len(vectors))])
        )
        features = pd.DataFrame({"kind": name, "vector": vectors})
        sample = features.iloc[:: max(1, len(features) // PARAMS.cl_train_rows)]
        vectors_ND = np.stack(
            cut(features, axes_by_kind(sample, seed=PARAMS.seed))["vector"].to_list()
        )
        for noise in options.noise:
            codes = pd.Categorical(
                images.table[noise], categories=sorted(set(images.table["label"]))
            ).codes
            found = out_of_fold(vectors_ND, codes.astype(np.int64), images.table.index)
            rows += judged_rows(f"CIFAR-10N {noise}, {name}", found, codes.astype(np.int64), truth)
            print(
                "\n".join(f"{one.case}: {one.metric} {one.median:.4f}" for one in rows[-15:]),
                flush=True,
            )
    print(f"wrote {write_results('cifar10_labels', rows, also=['cleanlab'])}")
    return 0


def _each_ms(start: float, n: int) -> float:
    return 1000 * (time.perf_counter() - start) / n


if __name__ == "__main__":
    sys.exit(main())
