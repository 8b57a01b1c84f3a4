"""Which images `predict` calls unlike those that the model was trained on, beside what is published.

    python -m benchmarks.robustness.unlike [--data FOLDER] [--work FOLDER] [--only digits ...] [--jobs 2]

Models, each by the real convert, train and evaluate stages on one thread:

- digits: scikit-learn's, 1,257 to train, 180 to validate, 360 to test; recipe quick as it is.
- cifar10: FOLDER/cifar10/cifar10.tar, 10,000 to train, 1,000 to validate, 2,000 to test; recipe quick with mirroring.
- clothing: FOLDER/clothing/clothing.tar, 670 to train, 75 to validate, 252 to test; recipe finetune from the built-in weights.
- clothing of 8 classes: the same without shoes and dresses, which are shown as unlike images.

Each is shown images of the others and of Debian's desktop backgrounds, through the exported model alone. AUROC: the
probability that such an image is farther than a test image (0.5 is chance). Beside ours, on the same network: the
largest softmax probability (Hendrycks and Gimpel 2017, arXiv 1610.02136), the energy (Liu et al. 2020, arXiv 2010.03759),
the distance from the nearest class mean (Lee et al. 2018, arXiv 1807.03888), from the 10th neighbour of unit length (Sun et
al. 2022, arXiv 2204.06507), and ViM (Wang et al. 2022, arXiv 2203.10807); these know all training images, ours 500.
Writes benchmarks/results/unlike.json. --work keeps the models. Some 10 CPU minutes on a core with AVX-512.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the stage harness does
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from scipy.special import logsumexp
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from torch import nn

from benchmarks.support.digit_line import digits
from benchmarks.support.file_line import FileLine, Picture
from benchmarks.support.photographs import make_photographs
from benchmarks.support.results_file import Row, kept_rows, row, write_results
from pipeline_lib.evaluate.params import EvaluateParams
from pipeline_lib.evaluate.run import run as evaluate
from pipeline_lib.evaluate.unlike import unit_length, watch_features
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.networks.build import build_network, head_name
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.exported import UNLIKE_BORDER, ExportedModel, load_exported
from pipeline_lib.networks.saved_weights import load_weights
from pipeline_lib.pixels import decode
from pipeline_lib.predict import trained_sight
from pipeline_lib.share_interval import wilson
from pipeline_lib.tables.selection import SELECTION
from testing.small_line import evaluated_files

Floats = np.ndarray[Any, np.dtype[np.float64]]
MODELS: dict[str, dict[str, Any]] = {
    "digits": {},
    "cifar10": {"recipe": "quick", "flip": True, "epochs": 10},
    "clothing": {"recipe": "finetune", "weights": "builtin:efficientnet_lite0"},
    "clothing of 8 classes": {"recipe": "finetune", "weights": "builtin:efficientnet_lite0"},
}
LEFT_OUT = ("shoes", "dress")
SHOWN = 300  # images of a kind, at most
NEIGHBOUR = 10
OURS, SOFTMAX = "ours", "softmax"
TIMED = 64  # images, each as often as this
TIMES = 7


@dataclass(frozen=True)
class Images:
    """What a model is trained, validated and tested on."""

    train: Sequence[Picture]
    val: Sequence[Picture]
    test: Sequence[Picture]


def images_of(model: str, data: Path) -> Images:
    """The images of a model, always the same."""
    if model == "digits":
        own, test = _divided(digits(), 360)
        return Images(*_divided(own, 180), test)
    if model == "cifar10":
        archive = data / "cifar10/cifar10.tar"
        own, test = in_tar(archive, "train", 1100), in_tar(archive, "test", 200)
        return Images(*_divided(own, 1000), test)
    archive = data / "clothing/clothing.tar"
    own, test = in_tar(archive, "train"), in_tar(archive, "test")
    if model != "clothing":
        own, test = ([one for one in part if one.class_id not in LEFT_OUT] for part in (own, test))
    return Images(*_divided(own, round(len(own) / 10 + 0.5)), test)


def in_tar(archive: Path, part: str, per_class: int | None = None) -> list[Picture]:
    """Images of `part`/<class>/; at most some of each class."""
    by_class: dict[str, list[Picture]] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            found = tar.extractfile(member) if member.isfile() else None
            if found and member.name.split("/")[-3] == part:
                name = member.name.split("/")[-2]
                by_class.setdefault(name, []).append(Picture(member.name, name, found.read()))
    chosen = []
    for name in sorted(by_class):
        some = sorted(by_class[name], key=lambda picture: picture.image_id)
        chosen += random.Random(0).sample(some, per_class) if per_class else some
    return chosen


def _divided(pictures: Sequence[Picture], n: int) -> tuple[list[Picture], list[Picture]]:
    """All but n, and n of them, by class."""
    classes = [one.class_id for one in pictures]
    rest, some = train_test_split(list(pictures), test_size=n, stratify=classes, random_state=0)
    return rest, some


def shown_to(model: str, data: Path, work: Path) -> dict[str, list[bytes]]:
    """Kind of unlike images -> their files."""
    kinds = {
        "digits": [one.data for one in digits()],
        "clothing": [one.data for one in in_tar(data / "clothing/clothing.tar", "test")],
        "cifar10": [one.data for one in in_tar(data / "cifar10/cifar10.tar", "test", 30)],
    }
    windows = make_photographs(work / "photographs", count=150, images=None)
    kinds["desktop backgrounds"] = [path.read_bytes() for path in windows]
    kinds.pop(model, None)
    if model not in MODELS or model == "clothing of 8 classes":
        own = [
            one
            for part in ("train", "test")
            for one in in_tar(data / "clothing/clothing.tar", part)
        ]
        kinds = {
            "clothing, the other 2 classes": [one.data for one in own if one.class_id in LEFT_OUT]
        }
    return {
        name: random.Random(0).sample(files, min(SHOWN, len(files)))
        for name, files in kinds.items()
    }


def make_model(model: str, *, data: Path, work: Path) -> None:
    """Train and evaluate, unless `work` has it."""
    folder = work / model.replace(" ", "_")
    if (folder / "done").exists():
        return
    logging.basicConfig(level=logging.WARNING)
    torch.set_num_threads(1)
    images = images_of(model, data)
    convert = {"short_side_px": 256} if "clothing" in model else {}
    line = FileLine(folder, [*images.train, *images.val, *images.test], convert=convert)
    rows = {
        split: line.rows[line.rows["image_id"].isin({one.image_id for one in pictures})]
        for split, pictures in vars(images).items()
    }
    weights = line.train(rows["train"], rows["val"], seed=0, **MODELS[model])
    for split, some in rows.items():
        SELECTION.write(
            some[["image_id", "label", "class_id", "weight"]], folder / f"selection/{split}.parquet"
        )
    reads = {
        "betons": line.betons,
        "selection": folder / "selection",
        "classes": weights.parent / "classes.csv",
        "weights": weights,
    }
    writes = evaluated_files(folder)
    evaluate(StageRun(folder, reads, writes, EvaluateParams(threads=1), line.settings))
    (folder / "done").touch()


@dataclass(frozen=True)
class Seen:
    """What the network makes of images, and how unlike the export calls them."""

    features_NF: Floats
    logits_NK: Floats
    unlike_N: Floats


class Asked:
    """An export, and the same network in torch for what others compute from it."""

    def __init__(self, folder: Path) -> None:
        self.exported: ExportedModel = load_exported(folder, threads=1)
        about = self.exported.about
        network = build_network(about.network, n_classes=len(about.classes), side_px=about.side_px)
        load_weights(network, folder)
        self.model = Classifier(network, mean=about.mean, std=about.std).eval()
        self.head = network.get_submodule(head_name(network))
        self.sight = trained_sight(about)

    def views(self, files: Sequence[bytes]) -> np.ndarray:
        """What the model looks at."""
        seen = [self.sight.view(decode(one, self.sight.rules).pixels_HWC) for one in files]
        return np.stack(seen)

    def see(self, files: Sequence[bytes]) -> Seen:
        """Ask both."""
        parts = []
        for start in range(0, len(files), 64):
            images_BHWC = self.views(files[start : start + 64])
            with torch.no_grad(), watch_features(self.model) as take:
                logits_BK = self.model(torch.from_numpy(images_BHWC)).double().numpy()
                features_BF = take().double().numpy()
            shares = self.exported.answers(images_BHWC).shares()
            parts.append((features_BF, logits_BK, np.array(shares, float)))
        return Seen(*(np.concatenate(part) for part in zip(*parts, strict=True)))


Score = Callable[[Seen], Floats]


def others(trained: Seen, labels_N: np.ndarray, head: nn.Module) -> dict[str, Score]:
    """Name -> a published score, larger for unlike images."""
    means_KF = np.stack([trained.features_NF[labels_N == k].mean(0) for k in np.unique(labels_N)])
    inverse_FF = (
        LedoitWolf(assume_centered=True).fit(trained.features_NF - means_KF[labels_N]).precision_
    )
    bank_NF = _unit(trained.features_NF)

    def softmax(seen: Seen) -> Floats:
        largest: Floats = np.exp(seen.logits_NK.max(1) - logsumexp(seen.logits_NK, axis=1))
        return -largest

    def energy(seen: Seen) -> Floats:
        result: Floats = -logsumexp(seen.logits_NK, axis=1)
        return result

    def class_means(seen: Seen) -> Floats:
        off = (seen.features_NF - mean_F for mean_F in means_KF)
        result: Floats = np.min([((one @ inverse_FF) * one).sum(1) for one in off], axis=0)
        return result

    def neighbour(seen: Seen) -> Floats:
        alike_NN = _unit(seen.features_NF) @ bank_NF.T
        result: Floats = -np.partition(alike_NN, -NEIGHBOUR, axis=1)[:, -NEIGHBOUR]
        return result

    return {
        SOFTMAX: softmax,
        "energy": energy,
        "class means": class_means,
        "10th neighbour": neighbour,
        "ViM": vim(trained, head),
    }


def vim(trained: Seen, head: nn.Module) -> Score:
    """Residual outside the principal half of the features, scaled to the largest logit, less the energy."""
    weight_KF = head.get_parameter("weight").detach().double().numpy()
    bias_K = head.get_parameter("bias").detach().double().numpy()
    origin_F = -np.linalg.pinv(weight_KF) @ bias_K
    x_NF = trained.features_NF - origin_F
    n_features = x_NF.shape[1]
    _, directions_FF = np.linalg.eigh(x_NF.T @ x_NF)
    rest = directions_FF[:, : n_features - n_features // 2]
    scale = trained.logits_NK.max(1).mean() / np.linalg.norm(x_NF @ rest, axis=1).mean()

    def score(seen: Seen) -> Floats:
        residual = np.linalg.norm((seen.features_NF - origin_F) @ rest, axis=1)
        result: Floats = scale * residual - logsumexp(seen.logits_NK, axis=1)
        return result

    return score


def _unit(features_NF: Floats) -> Floats:
    scaled: Floats = unit_length(torch.from_numpy(features_NF)).numpy()
    return scaled


def rows_of(model: str, data: Path, work: Path) -> list[Row]:
    """All figures of one model."""
    torch.set_num_threads(1)
    asked = Asked(work / model.replace(" ", "_") / "export")
    images = images_of(model, data)
    classes = asked.exported.about.classes
    trained = asked.see([one.data for one in images.train])
    labels_N = np.array([classes.index(one.class_id) for one in images.train])
    val, test = (asked.see([one.data for one in part]) for part in (images.val, images.test))
    right = test.logits_NK.argmax(1) == [classes.index(one.class_id) for one in images.test]
    scores: Mapping[str, Score] = {
        OURS: lambda seen: -seen.unlike_N,
        **others(trained, labels_N, asked.head),
    }

    case = f"{model}: test images"
    rows = [
        row(case, "images", "images", [len(images.test)]),
        row(case, "validation images", "images", [len(images.val)]),
        row(case, "top-1", "%", [100 * float(right.mean())]),
        remarked(case, test),
        row(case, "CPU of the remark, of the model's", "%", extra_cpu(asked, images.test)),
    ]
    for kind, files in shown_to(model, data, work).items():
        seen = asked.see(files)
        case = f"{model}: {kind}"
        rows += [row(case, "images", "images", [len(files)]), remarked(case, seen)]
        is_unlike = np.repeat([False, True], [len(images.test), len(files)])
        for name, score in scores.items():
            far = np.concatenate([score(test), score(seen)])
            rows.append(row(case, f"AUROC, {name}", "", [float(roc_auc_score(is_unlike, far))]))
            if name != OURS:
                border = np.quantile(score(val), 1 - UNLIKE_BORDER)
                share = 100 * float((score(seen) > border).mean())
                rows.append(row(case, f"remarked, {name}", "%", [share]))
    return rows


def remarked(case: str, seen: Seen) -> Row:
    """The share that gets the remark, with its Wilson interval as min and max."""
    n, n_called = len(seen.unlike_N), int((seen.unlike_N <= UNLIKE_BORDER).sum())
    interval = wilson(n_called, n)
    return Row(
        case,
        f"remarked, {OURS}",
        "%",
        100 * n_called / n,
        100 * interval.low,
        100 * interval.high,
        n,
    )


def extra_cpu(asked: Asked, pictures: Sequence[Picture]) -> list[float]:
    """CPU time of onnxruntime for both outputs over that for the probabilities alone, less 1, in %: some rounds."""
    images_BHWC = asked.views([one.data for one in pictures[:TIMED]])
    found = []
    for _ in range(TIMES + 1):
        clock = [time.process_time()]
        asked.exported.probabilities(images_BHWC)
        clock.append(time.process_time())
        asked.exported.answers(images_BHWC)
        clock.append(time.process_time())
        alone, both = np.diff(clock)
        found.append(100 * (both / alone - 1))
    return found[1:]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.robustness.unlike",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="of cifar10/, clothing/")
    parser.add_argument("--work", type=Path, default=Path("unlike-work"), help="for the models")
    parser.add_argument("--only", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--jobs", type=int, default=2, help="models at once, one thread each")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        list(pool.map(partial(make_model, data=options.data, work=options.work), options.only))
    rows: list[Row] = []
    for model in options.only:
        rows += rows_of(model, options.data, options.work)
    table = pd.DataFrame([vars(one) for one in rows])
    print(table.to_string())
    measured = {one.case for one in rows}
    rows += kept_rows("unlike", but=measured)
    models = list(MODELS)
    rows.sort(key=lambda one: models.index(one.case.partition(":")[0]))
    print(f"wrote {write_results('unlike', rows, also=('onnxruntime', 'timm'))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
