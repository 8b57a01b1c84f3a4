"""From which size on photographs are told apart better by the built-in backbone than by gradients.

    python -m benchmarks.curation.features_by_size FOLDER [--seeds 3]

FOLDER holds clothing/clothing.tar and cifar10/cifar10.tar (`train|test/<class>/<name>.jpg`), which are no part of this
repository. The clothing photographs at several short sides (bicubic, JPEG quality 90), each of them alone and at mixed
sides (log-uniform from 32 px to their own), 200 CIFAR-10 images of each class and the digits of scikit-learn at 32 px
go through `inspect`. Measured with gradients and with the backbone for all images, and with `by_size`, where each
kind of features is compared among its own: how many images have the label that their nearest neighbours have (cosine,
5 others) and that `curate` finds most probable out of fold; and with 8 % of the labels flipped to any other class, the
average precision of `curate`'s rank of doubted labels. Writes benchmarks/results/features_by_size.json.
"""

from __future__ import annotations

import argparse
import io
import math
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.metrics import average_precision_score

from benchmarks.support.results_file import Row, row, write_results
from demo.images import load_scans
from pipeline_lib.backbones import EFFICIENTNET_LITE0
from pipeline_lib.curate.inputs import axes_by_kind, cut
from pipeline_lib.curate.label_issues import find_label_issues
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.inspect.embedding import builtin_embedding
from pipeline_lib.inspect.image import examine
from pipeline_lib.inspect.params import BY_SIZE, InspectParams
from pipeline_lib.inspect.shard import describe

SIDES_PX = (32, 48, 64, 96, 128, 10_000)
FEATURES = {
    "gradients": InspectParams(embedding_weights=None),
    "embedding": InspectParams(embedding_weights=EFFICIENTNET_LITE0.ref),
    "by size": InspectParams(embedding_weights=BY_SIZE),
}
FLIPPED, NEIGHBOURS, OF_A_CIFAR10_CLASS = 0.08, 5, 200
MIXED = "clothing, mixed sizes from 32 px"


@dataclass(frozen=True)
class Labelled:
    """files: bytes by image_id; label: class by image_id."""

    files: dict[str, bytes]
    label: pd.Series


def read_tar(path: Path, *, of_a_class: int | None = None) -> Labelled:
    """Every image, or the first `of_a_class` training images of every class."""
    files: dict[str, bytes] = {}
    taken: dict[str, int] = {}
    with tarfile.open(path) as archive:
        for member in sorted(archive.getmembers(), key=lambda one: one.name):
            split, _, below = member.name.partition("/")
            class_id = below.partition("/")[0]
            is_wanted = of_a_class is None or (
                split == "train" and taken.get(class_id, 0) < of_a_class
            )
            if member.isfile() and is_wanted and (file := archive.extractfile(member)):
                files[member.name] = file.read()
                taken[class_id] = taken.get(class_id, 0) + 1
    return Labelled(files, pd.Series({name: name.split("/")[1] for name in files}))


def read_digits() -> Labelled:
    """The demo's digits, 32 px."""
    scans = load_scans()
    files = {f"{n:04}": _jpeg(Image.fromarray(image)) for n, image in enumerate(scans.images)}
    return Labelled(files, pd.Series(dict(zip(files, scans.labels, strict=True))))


def shrunk(images: Labelled, side_of: Callable[[int], float]) -> Labelled:
    """The images smaller. side_of: short side -> short side, pixels."""
    return Labelled(
        {name: _shrunk(data, side_of) for name, data in images.files.items()}, images.label
    )


def _shrunk(data: bytes, side_of: Callable[[int], float]) -> bytes:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    share = min(1.0, side_of(min(image.size)) / min(image.size))
    if share == 1:
        return data
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    return _jpeg(image.resize(size, Image.Resampling.BICUBIC))


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


def features_of(images: Labelled, params: InspectParams) -> pd.DataFrame:
    """kind and vector by image_id, shortened as `curate` does."""
    embedding = builtin_embedding(params)
    described = {
        name: describe(examine(name, data, params), embedding)
        for name, data in images.files.items()
    }
    whole = pd.DataFrame.from_dict(described, orient="index", columns=["kind", "vector"])
    whole.index.name = "image_id"
    return cut(whole, axes_by_kind(whole, seed=0))


def measured(
    case: str, images: Labelled, features: dict[str, pd.DataFrame], *, seeds: int
) -> Iterator[Row]:
    """The three figures for each kind of features."""
    for name, table in features.items():
        yield row(case, f"{name}: nearest neighbours", "share", [_by_neighbours(table, images)])
        yield row(case, f"{name}: out of fold", "share", [_issues(images.label, table)[1]])
        precision = []
        for seed in range(seeds):
            given = flipped(images.label, seed)
            doubt, _ = _issues(given, table)
            precision.append(average_precision_score(given != images.label, doubt.fillna(0)))
        yield row(case, f"{name}: average precision of flips", "share", precision)


def flipped(label: pd.Series, seed: int) -> pd.Series:
    """The labels, a share of them replaced by any other class."""
    rng = np.random.default_rng(seed)
    classes = sorted(set(label))
    given = label.copy()
    for place in rng.permutation(len(label))[: round(FLIPPED * len(label))]:
        others = [one for one in classes if one != label.iloc[place]]
        given.iloc[place] = others[rng.integers(len(others))]
    return given


def _issues(given: pd.Series, features: pd.DataFrame) -> tuple[pd.Series, float]:
    """The doubt in each label, and the share of labels that are the most probable class."""
    rows = pd.DataFrame({"class_id": given, "fold_group": given.index}, index=given.index)
    found = find_label_issues(rows.astype("str"), features, CurateParams())
    return found.frame["label_doubt"], found.accuracy


def _by_neighbours(features: pd.DataFrame, images: Labelled) -> float:
    """Share of images whose label most of their nearest neighbours have, each kind among its own."""
    right = 0
    for _, part in features.groupby("kind"):
        labels = images.label[part.index].to_numpy()
        vectors_ND = np.stack(part["vector"].to_list())
        vectors_ND = vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True)
        likeness_NN = vectors_ND @ vectors_ND.T
        np.fill_diagonal(likeness_NN, -np.inf)
        nearest = np.argsort(-likeness_NN, axis=1)[:, :NEIGHBOURS]
        votes = (pd.Series(labels[near]).value_counts() for near in nearest)
        right += sum(vote.index[0] == own for vote, own in zip(votes, labels, strict=True))
    return right / len(features)


def cases(folder: Path) -> Iterator[tuple[str, Labelled]]:
    """Name and images of each set."""
    clothing = read_tar(folder / "clothing/clothing.tar")
    for side_px in SIDES_PX:
        size = f"{side_px} px" if side_px < max(SIDES_PX) else "as received"
        yield f"clothing, {size}", shrunk(clothing, lambda _, side=side_px: side)
    rng = np.random.default_rng(0)
    yield (
        MIXED,
        shrunk(clothing, lambda side: 2 ** rng.uniform(math.log2(32), math.log2(max(32, side)))),
    )
    cifar10 = read_tar(folder / "cifar10/cifar10.tar", of_a_class=OF_A_CIFAR10_CLASS)
    yield "CIFAR-10, 32 px", cifar10
    yield "digits, 32 px", read_digits()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    rows: list[Row] = []
    for case, images in cases(options.folder):
        names = list(FEATURES) if case == MIXED else list(FEATURES)[:2]
        features = {name: features_of(images, FEATURES[name]) for name in names}
        for one in measured(case, images, features, seeds=options.seeds):
            rows.append(one)
            print(f"{one.case}; {one.metric}: {one.median:.3f}", flush=True)
    print(f"wrote {write_results('features_by_size', rows, also=('onnxruntime', 'onnx'))}")


if __name__ == "__main__":
    main()
