"""Wrong labels among CIFAR-10's training images, as people really made them (CIFAR-10N).

    python -m benchmarks.curation.cifar10_labels FOLDER [--images 10000] [--features hog patches network]

FOLDER holds cifar10.tar (`train/<class>/<name>.jpg`) and train_votes.csv.gz (CIFAR-10N, Wei et al. 2022; its licence
forbids commerce, so it is no part of this repository). `worst` is a wrong label wherever one of three people gave one
(40 %), `aggregate` their majority (9 %); the published labels count as the truth. Ours: the probability that a label is
wrong, at default parameters, and the labels with .5 or more. They are judged with any features here; `curate` doubts
nothing where the estimated accuracy is under `cl_min_accuracy`. Reliability: of labels with a probability, how many are
wrong. 0.2.0's rank: benchmarks/support/labels_020.py, on the same folds. cleanlab's, on the same features, folds and training
rows: logistic regression, as its CleanLearning has by default, with its best rank (self-confidence) and its default filter.
Features: `hog`, what `inspect` writes without a weight file; `patches`, for comparison, whitened 6 x 6 colour patches (Coates,
Lee, Ng, AISTATS 2011: 128 random patches, both signs, pooled over quadrants); `network`, the built-in network's; all cut
to 128 directions. `--images`: how many are drawn. Writes benchmarks/results/cifar10_labels.json.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
import time
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
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from benchmarks.support.labels_020 import opinion_020
from benchmarks.support.reliability import reliability_rows
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.backbones import builtin_backbone, open_builtin
from pipeline_lib.curate import label_issues as room
from pipeline_lib.curate.confident_learning import confident_joint
from pipeline_lib.curate.inputs import axes_by_kind, cut
from pipeline_lib.curate.label_noise import LabelNoise, estimate_noise, judge
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.inspect.hog import hog
from pipeline_lib.inspect.image import squeeze

PARAMS = CurateParams()
SIDE, FILTERS, QUIET = 6, 128, 0.25
BATCH = 32


@dataclass(frozen=True)
class Images:
    """images_NHWC: uint8. table: label (published), worst and aggregate by member, in the same order."""

    images_NHWC: NDArray[np.uint8]
    table: pd.DataFrame

    def drawn(self, n_images: int) -> Images:
        """Some of them, in the same order."""
        drawn = self.table.sample(min(n_images, len(self.table)), random_state=0).index
        return Images(self.images_NHWC[self.table.index.isin(drawn)], self.table.loc[sorted(drawn)])


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


def network_vectors(images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Of the built-in network."""
    backbone = builtin_backbone("builtin:efficientnet_lite0")
    assert backbone is not None
    network = open_builtin(backbone, threads=1)
    batches = [images_NHWC[at : at + BATCH] for at in range(0, len(images_NHWC), BATCH)]
    return np.concatenate(
        [network.features(np.stack([backbone.view(image) for image in batch])) for batch in batches]
    )


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
    """Probabilities [N, K] of our predictors together, and of a logistic regression at its defaults.

    scaled_ND: the vectors; fold, draw [N]: of each image. cpu_s: of ours.
    """

    ours: NDArray[np.float16]
    logistic: NDArray[np.float64]
    scaled_ND: NDArray[np.float32]
    fold: NDArray[np.int64]
    draw: NDArray[np.float64]
    cpu_s: float


def out_of_fold(
    vectors_ND: NDArray[np.float32], codes: NDArray[np.int64], names: pd.Index
) -> OutOfFold:
    """What `find_label_issues` computes, and a logistic regression at scikit-learn's defaults in the same folds."""
    scaled = room.unit_scale(vectors_ND)
    fold, draw = room.folds_of(
        pd.Series(names, index=names), codes, n_folds=PARAMS.cl_folds, salt=PARAMS.split_salt
    )
    n_classes = int(codes.max()) + 1
    ours = np.zeros((len(codes), n_classes), np.float16)
    logistic, cpu_s = np.zeros((len(codes), n_classes)), 0.0
    for k in range(PARAMS.cl_folds):
        learn = room._sample(np.flatnonzero(fold != k), draw, PARAMS.cl_train_rows)
        held = np.flatnonzero(fold == k)
        start = time.process_time()
        models = room._fit(scaled[learn], codes[learn])
        ours[held] = room._consensus(models, scaled[held], n_classes)
        cpu_s += time.process_time() - start
        plain = LogisticRegression(max_iter=400).fit(scaled[learn], codes[learn])
        logistic[held] = plain.predict_proba(scaled[held])
    return OutOfFold(ours, logistic, scaled, fold, draw, cpu_s)


def judged_rows(
    case: str, found: OutOfFold, codes: NDArray[np.int64], truth: NDArray[np.int64]
) -> list[Row]:
    """Average precision, precision and recall of everybody."""
    wrong = codes != truth
    joint = confident_joint(found.ours, codes)
    noise: LabelNoise = estimate_noise(found.ours, codes, joint, found.draw)
    judged = judge(found.ours, codes, noise)
    old = opinion_020(
        found.scaled_ND, codes, found.fold, draw=found.draw, most=PARAMS.cl_train_rows
    )
    quality = get_label_quality_scores(codes, found.logistic, method="self_confidence")
    ranks = {
        "ours": judged.wrong,
        "0.2.0": old.doubt,
        "cleanlab on logistic regression": -quality,
    }
    figures = {
        "wrong labels": float(wrong.mean()),
        "ours, accuracy out of fold against the truth": _accuracy(found.ours, truth),
        "ours, accuracy estimated": float(judged.p_best.mean()),
        "ours, noise rate estimated": noise.rate,
        "confident learning, noise rate estimated": joint.noise_rate,
    }
    figures |= {
        f"{name}, average precision": float(average_precision_score(wrong, rank))
        for name, rank in ranks.items()
    }
    filtered = find_label_issues(codes, found.logistic, n_jobs=1)
    return [
        *(row(case, name, "share", [value]) for name, value in figures.items()),
        row(case, "ours, seconds", "CPU s", [found.cpu_s]),
        *_found(case, "ours, doubted", judged.wrong >= PARAMS.cl_doubt, wrong),
        *_found(case, "0.2.0, doubted", old.doubted, wrong),
        *_found(case, "cleanlab on logistic regression, default filter", filtered, wrong),
        *reliability_rows(f"reliability: {case}", [judged.wrong], [wrong]),
    ]


def _accuracy(p_NK: NDArray[Any], truth: NDArray[np.int64]) -> float:
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
    makers = {"hog": hog_vectors, "patches": patch_vectors, "network": network_vectors}
    parser.add_argument("--features", nargs="+", choices=list(makers), default=list(makers))
    parser.add_argument(
        "--noise", nargs="+", choices=("worst", "aggregate"), default=["worst", "aggregate"]
    )
    parser.add_argument("--images", type=int, default=50_000, help="how many are drawn")
    options = parser.parse_args()
    if not (options.folder / "cifar10.tar").is_file():
        sys.exit(
            f"{options.folder}: holds no cifar10.tar. Remedy: name the folder of CIFAR-10 and its votes"
        )
    images = read_images(options.folder).drawn(options.images)
    truth = _codes(images, "label")
    rows: list[Row] = []
    for name in options.features:
        vectors = pd.Series(list(makers[name](images.images_NHWC)), index=images.table.index)
        rows.append(row(f"CIFAR-10, {name}", "images", "images", [len(vectors)]))
        features = pd.DataFrame({"kind": name, "vector": vectors})
        sample = features.iloc[:: max(1, len(features) // PARAMS.cl_train_rows)]
        vectors_ND = np.stack(
            cut(features, axes_by_kind(sample, seed=PARAMS.seed))["vector"].to_list()
        )
        for noise in options.noise:
            codes = _codes(images, noise)
            found = out_of_fold(vectors_ND, codes, images.table.index)
            rows += judged_rows(f"CIFAR-10N {noise}, {name}", found, codes, truth)
            shown = [one for one in rows if one.case.endswith(f"{noise}, {name}")]
            print(
                "\n".join(f"{one.case}: {one.metric} {one.median:.4f}" for one in shown), flush=True
            )
    print(f"wrote {write_results('cifar10_labels', rows, also=['cleanlab'])}")
    return 0


def _codes(images: Images, column: str) -> NDArray[np.int64]:
    classes = sorted(set(images.table["label"]))
    return pd.Categorical(images.table[column], categories=classes).codes.astype(np.int64)


if __name__ == "__main__":
    sys.exit(main())
