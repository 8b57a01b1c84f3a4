"""Strangers planted among photographs: how far up the list they are, and how many are asked about at the default.

    python -m benchmarks.curation.photograph_outliers --data FOLDER [--cifar10 FOLDER] [--sheet FOLDER] [--seeds 5]

FOLDER: clothing.tar, as for photograph_copies; --cifar10: the folder with cifar10.tar. Among the photographs lie 60 scenes
(the photographs in Debian's packages of desktop backgrounds: each once whole or in part, some in two parts), 60 digits,
60 images of CIFAR-10 enlarged from 32 px, or 60 drawn patterns; under classes drawn at random, or all in one class of
120. Features: the built-in backbone. Beside the score: the one of 0.2.0 (percentile in the class of the mean distance to
ten neighbours, vectors as they are), the same under gradients (HOG), and 12 or 25 images of each class with one scene in
each. `--sheet` draws the 24 photographs of the archive as it is that come first. Writes
benchmarks/results/photograph_outliers.json.
"""

from __future__ import annotations

import argparse
import io
import random
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.curation.photograph_copies import read_photographs
from benchmarks.curation.photograph_damage import sheet
from benchmarks.support.photographs import BACKGROUNDS, SHARE, photograph_window
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.curate.inputs import axes_by_kind, cut
from pipeline_lib.curate.outliers import outlier_scores
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.inspect.embedding import find_embedding
from pipeline_lib.inspect.image import examine
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.shard import describe

STRANGERS, LONGEST_PX, SHOWN = 60, 400, 24
ONE_CLASS = "pants"  # of 120
SMALL_CLASSES = (12, 25)
MORE_SCENES = (  # photographs with less to see than those that speed is measured with
    "backgrounds/Bridge_by_Sander_Klootwijk.jpg",
    "backgrounds/Infinite-Sea_by_Aury88.jpg",
    "backgrounds/Picture_1A_by_freespace.jpg",
    "backgrounds/free_by_Peter_Nerlich.jpg",
    "backgrounds/greentock_by_Peter_Nerlich.jpg",
    "backgrounds/mate/nature/Aqua.jpg",
    "backgrounds/mate/nature/FreshFlower.jpg",
    "backgrounds/mate/nature/GreenMeadow.jpg",
    "backgrounds/mate/nature/LadyBird.jpg",
    "backgrounds/mate/nature/Storm.jpg",
    "wallpapers/DarkestHour/contents/images/2560x1600.jpg",
    "wallpapers/Kite/contents/images/2560x1600.jpg",
    "wallpapers/summer_1am/contents/images/2560x1600.jpg",
)


@dataclass(frozen=True)
class Described:
    """Images as `inspect` describes them. group: what an image is a part of; a draw has at most two of a group."""

    group: Sequence[str]
    embeddings_ND: np.ndarray
    gradients_ND: np.ndarray


def described(images: Iterable[tuple[str, bytes]]) -> Described:
    """Embeddings and gradients, one full-size image in memory at a time."""
    params = InspectParams()
    embedding = find_embedding(params, Path())
    groups: list[str] = []
    embeddings: list[np.ndarray] = []
    gradients: list[np.ndarray] = []
    for group, data in images:
        examined = examine("a", data, params)
        groups.append(group)
        embeddings.append(describe(examined, embedding)["vector"])
        gradients.append(describe(examined, None)["vector"])
    return Described(groups, np.stack(embeddings), np.stack(gradients))


def _png(pixels: np.ndarray | Image.Image) -> bytes:
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.convert("RGB").save(file, "PNG", compress_level=1)
    return file.getvalue()


def scenes() -> Iterable[tuple[str, bytes]]:
    """Each background photograph whole, and three windows of it."""
    names = [name for of_package in BACKGROUNDS.values() for name in of_package]
    for name in (*names, *(name for name in MORE_SCENES if (SHARE / name).is_file())):
        rng = random.Random(name)
        with Image.open(SHARE / name) as opened:
            photograph = opened.convert("RGB")
        windows = [photograph_window(*photograph.size, rng) for _ in range(3)]
        for image in (photograph.copy(), *map(photograph.crop, windows)):
            image.thumbnail((LONGEST_PX, LONGEST_PX))
            yield name, _png(image)


def digits() -> Iterable[tuple[str, bytes]]:
    """Scans of 8 px, enlarged."""
    from sklearn.datasets import load_digits

    scans = load_digits().images
    for number in np.random.default_rng(0).choice(len(scans), 2 * STRANGERS, replace=False):
        scan = Image.fromarray((scans[number] * 15.9).astype(np.uint8))
        yield str(number), _png(scan.resize((224, 224), Image.Resampling.BICUBIC))


def small_photographs(folder: Path) -> Iterable[tuple[str, bytes]]:
    """CIFAR-10's, enlarged from 32 px."""
    with tarfile.open(folder / "cifar10.tar") as archive:
        members = [one for one in archive.getmembers() if one.isfile() and "test/" in one.name]
        for member in random.Random(0).sample(members, 2 * STRANGERS):
            file = archive.extractfile(member)
            assert file is not None
            image = Image.open(io.BytesIO(file.read())).convert("RGB")
            yield member.name, _png(image.resize((224, 224), Image.Resampling.BICUBIC))


def patterns() -> Iterable[tuple[str, bytes]]:
    """Noise, waves, boards, clouds, gradients and lines like those of a text."""
    rng = np.random.default_rng(0)
    for number in range(2 * STRANGERS):
        pixels = PATTERNS[number % len(PATTERNS)](rng)
        yield str(number), _png(np.clip(pixels, 0, 255).astype(np.uint8))


Y, X = np.mgrid[:400, :300].astype(float)


def _waves(rng: np.random.Generator) -> np.ndarray:
    angle, frequency = rng.uniform(0, np.pi), rng.uniform(0.05, 0.6)
    wave = np.sin(frequency * (X * np.cos(angle) + Y * np.sin(angle)))
    return np.asarray((127 + 120 * wave)[..., None] * rng.uniform(0.5, 1, 3))


def _board(rng: np.random.Generator) -> np.ndarray:
    side = int(rng.integers(8, 50))
    return np.asarray((255 * ((X // side + Y // side) % 2))[..., None] * rng.uniform(0.3, 1, 3))


def _clouds(rng: np.random.Generator) -> np.ndarray:
    few = Image.fromarray((255 * rng.random((12, 9, 3))).astype(np.uint8))
    return np.asarray(few.resize((300, 400), Image.Resampling.BICUBIC)).astype(float)


def _lines(rng: np.random.Generator) -> np.ndarray:
    page = np.full((400, 300, 3), 250.0)
    for top in range(20, 380, 14):
        page[top : top + 5, 20 : int(rng.integers(60, 290))] = 20
    return page


PATTERNS: tuple[Callable[[np.random.Generator], np.ndarray], ...] = (
    lambda rng: 255 * rng.random((400, 300, 3)),
    _waves,
    _board,
    _clouds,
    lambda rng: (255 * Y / 400)[..., None] * rng.uniform(0.2, 1, 3),
    _lines,
)


def drawn(strangers: Described, seed: int) -> np.ndarray:
    """Numbers of STRANGERS images: one of each group, then a second one of some."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(strangers.group))
    group = pd.Series(strangers.group).iloc[order]
    nth_of_group = group.groupby(group).cumcount().to_numpy()
    return order[np.argsort(nth_of_group, kind="stable")[:STRANGERS]]


def scores(vectors_ND: np.ndarray, classes: np.ndarray, kind: str) -> np.ndarray:
    """ood_score of every image, as `curate` computes it from vectors of this kind."""
    ids = [f"{number:05d}" for number in range(len(classes))]
    features = pd.DataFrame({"kind": kind, "vector": list(vectors_ND)}, index=ids)
    short = cut(features, axes_by_kind(features, seed=0))
    rows = pd.DataFrame({"class_id": classes}, index=ids).astype("str")
    return outlier_scores(rows, short, CurateParams()).to_numpy()


def as_in_0_2_0(vectors_ND: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Percentile within the class of the mean Euclidean distance to the ten nearest images of it."""
    from sklearn.neighbors import NearestNeighbors

    distance = np.empty(len(classes))
    for name in np.unique(classes):
        own = vectors_ND[classes == name]
        near = NearestNeighbors(n_neighbors=10).fit(own).kneighbors()[0]
        distance[classes == name] = near.mean(axis=1)
    return pd.Series(distance).groupby(classes).rank(pct=True).to_numpy()


def planted_rows(
    name: str, strangers: Described, garments: Described, classes: np.ndarray, seeds: int
) -> Iterable[Row]:
    """Average precision of the strangers, the share asked about, and the garments asked about."""
    for where in (
        "in classes drawn at random",
        f"all in one class of {(classes == ONE_CLASS).sum()}",
    ):
        found: dict[str, list[float]] = {}
        for seed in range(seeds):
            chosen = drawn(strangers, seed)
            labels = np.full(STRANGERS, ONE_CLASS)
            if "random" in where:
                labels = np.random.default_rng(seed).choice(np.unique(classes), STRANGERS)
            everything = np.concatenate([classes, labels])
            for features, kind in (("embeddings", "embedding:lite0"), ("gradients", "hog")):
                own, other = (getattr(one, f"{features}_ND") for one in (garments, strangers))
                vectors = np.concatenate([own, other[chosen]])
                graded = _graded(scores(vectors, everything, kind), len(classes))
                before = _graded(as_in_0_2_0(vectors, everything), len(classes))
                graded["average precision in 0.2.0"] = before["average precision"]
                for metric, value in graded.items():
                    found.setdefault(f"{metric}, {features}", []).append(value)
        for metric, values in found.items():
            unit = "images" if "garments" in metric else "share"
            yield row(f"{STRANGERS} {name} {where}", metric, unit, values)


def _graded(values: np.ndarray, n_own: int) -> dict[str, float]:
    from sklearn.metrics import average_precision_score

    strange = np.arange(len(values)) >= n_own
    asked = values > CurateParams().ood_spreads
    return {
        "average precision": float(average_precision_score(strange, values)),
        "asked about": float(asked[strange].mean()),
        "garments asked about": float(asked[~strange].sum()),
    }


def small_class_rows(
    strangers: Described, garments: Described, classes: np.ndarray, seeds: int
) -> Iterable[Row]:
    """A few images of each class, and one scene in each."""
    names = np.unique(classes)
    for size in SMALL_CLASSES:
        found: dict[str, list[float]] = {}
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            kept = np.concatenate(
                [rng.choice(np.flatnonzero(classes == name), size, replace=False) for name in names]
            )
            vectors = [garments.embeddings_ND[kept]]
            vectors.append(strangers.embeddings_ND[drawn(strangers, seed)[: len(names)]])
            values = scores(
                np.concatenate(vectors), np.concatenate([classes[kept], names]), "embedding:lite0"
            )
            for metric, value in _graded(values, len(kept)).items():
                found.setdefault(metric, []).append(value)
        case = f"{size} images of each of {len(names)} classes, one scene in each"
        for metric, figures in found.items():
            unit = "images" if "garments" in metric else "share"
            yield row(case, metric, unit, figures)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curation.photograph_outliers", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder with clothing.tar")
    parser.add_argument("--cifar10", type=Path, help="a folder with cifar10.tar")
    parser.add_argument("--sheet", type=Path, help="a folder for the contact sheet")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    photographs = read_photographs(options.data / "clothing.tar")
    names = sorted(photographs)
    classes = np.array([Path(name).parent.name for name in names])
    garments = described((name, photographs[name]) for name in names)

    as_they_are = scores(garments.embeddings_ND, classes, "embedding:lite0")
    asked = int((as_they_are > CurateParams().ood_spreads).sum())
    rows = [row("as they are", "photographs", "images", [len(names)])]
    rows.append(row("as they are", "asked about", "images", [asked]))
    strangers = {"scenes": scenes, "digits": digits, "drawn patterns": patterns}
    if options.cifar10:
        strangers["enlarged images of CIFAR-10"] = partial(small_photographs, options.cifar10)
    for name, make in strangers.items():
        made = described(make())
        rows += planted_rows(name, made, garments, classes, options.seeds)
        if make is scenes:
            rows += small_class_rows(made, garments, classes, options.seeds)
    for one in rows:
        print(f"{one.case}: {one.metric} {one.median:.3g} {one.unit}", flush=True)
    if options.sheet:
        first = np.argsort(-as_they_are)[:SHOWN]
        tiles = [(f"{classes[at]}\n{as_they_are[at]:.2f}", photographs[names[at]]) for at in first]
        sheet(tiles).save(options.sheet / "outliers.png")
    print(f"wrote {write_results('photograph_outliers', rows, also=('onnxruntime',))}")


if __name__ == "__main__":
    main()
