"""Near duplicates of CIFAR-10's test images, beside the list that people made of them.

    python -m benchmarks.curation.cifar10_duplicates FOLDER [--published FOLDER] [--sheet FILE]

FOLDER: cifar10.tar (JPEG or PNG, `train|test/<class>/<name>`), and train_votes.csv.gz and test_vote_counts.csv.gz, of
which the columns member and original_index are read. --published: duplicates_cifar10.csv and
duplicates_cifar10_test.csv of Barz and Denzler (Journal of Imaging 6(6):41, 2020; https://github.com/cvjena/cifair,
folder meta), which name one partner for each of 325 test images. --sheet: an image of pairs drawn at random, of those
that count as copies (upper half) and of those that become questions (lower half). What is compared is what `inspect`
writes and how `curate` compares images under 64 px. Writes benchmarks/results/cifar10_duplicates.json.
"""

from __future__ import annotations

import argparse
import io
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.curate.duplicate_small_images import AlikeDetails, alike_details, alike_pixels
from pipeline_lib.curate.inputs import axes_by_kind, cut
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.inspect.hog import hog
from pipeline_lib.inspect.image import luminance, squeeze

AGREEMENTS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
PER_LINE, LINES, SCALE = 10, 10, 2


@dataclass(frozen=True)
class Cifar:
    """names [N], pixels_NHWC uint8, is_test [N]; thumbnails_NP and vectors_ND as `inspect` and `curate` make them."""

    names: list[str]
    pixels_NHWC: NDArray[np.uint8]
    is_test: NDArray[np.bool_]
    thumbnails_NP: NDArray[np.uint8]
    vectors_ND: NDArray[np.float32]


def read_cifar(archive: Path) -> Cifar:
    """Decode all images, sorted by name."""
    with tarfile.open(archive) as tar:
        found = {one.name: tar.extractfile(one) for one in tar if one.isfile()}
        files = {name: file.read() for name, file in found.items() if file is not None}
    names = sorted(files)
    pixels = [np.asarray(Image.open(io.BytesIO(files[name])).convert("RGB")) for name in names]
    greys = [luminance(one) for one in pixels]
    table = pd.DataFrame(
        {"kind": "hog", "vector": [hog(squeeze(grey, side_px=64)) for grey in greys]}
    )
    short = cut(table, axes_by_kind(table.iloc[::3], seed=0))
    return Cifar(
        names,
        np.stack(pixels),
        np.array([name.startswith("test/") for name in names]),
        np.stack([squeeze(grey, side_px=32).ravel() for grey in greys]),
        np.stack(short["vector"].to_list()).astype(np.float32),
    )


def published_pairs(data: Path, lists: Path, names: list[str]) -> dict[tuple[int, int], int]:
    """Positions of the published pairs (smaller first) -> 1: the same shot, 2: very similar."""
    index = pd.concat(
        pd.read_csv(data / name) for name in ("train_votes.csv.gz", "test_vote_counts.csv.gz")
    )
    position = {name: at for at, name in enumerate(names)}
    place = {
        (member.partition("/")[0], original): position[member]
        for member, original in index[["member", "original_index"]].itertuples(index=False)
    }
    pairs = {}
    for file, other in (
        ("duplicates_cifar10.csv", "train"),
        ("duplicates_cifar10_test.csv", "test"),
    ):
        for line in pd.read_csv(lists / file).itertuples(index=False):
            ends = sorted((place["test", line.TestID], place[other, line.TrainID]))
            pairs[ends[0], ends[1]] = int(line.Judgment)
    return pairs


def found_rows(
    cifar: Cifar, alike: AlikeDetails, published: dict[tuple[int, int], int]
) -> list[Row]:
    """Pairs and test images found at each agreement, and how many of the published ones are among them."""
    listed = {at for pair in published for at in pair if cifar.is_test[at]}
    rows = [row("published", "pairs", "pairs", [len(published)])] if published else []
    rows += [row("published", "test images", "images", [len(listed)])] if published else []
    for least in AGREEMENTS:
        chosen = [(int(a), int(b)) for a, b in alike.pairs[alike.score >= least]]
        with_test = [pair for pair in chosen if cifar.is_test[list(pair)].any()]
        images = {at for pair in with_test for at in pair if cifar.is_test[at]}
        case = f"agreement {least:.2f}"
        rows += [
            row(case, "pairs in all", "pairs", [len(chosen)]),
            row(case, "pairs with a test image", "pairs", [len(with_test)]),
            row(
                case,
                "pairs of test and train",
                "pairs",
                [sum(not cifar.is_test[list(p)].all() for p in with_test)],
            ),
            row(case, "test images", "images", [len(images)]),
        ]
        if published:
            rows += [
                row(
                    case, "published pairs", "pairs", [sum(pair in published for pair in with_test)]
                ),
                row(case, "published test images", "images", [len(images & listed)]),
            ]
    return rows


def sheet(cifar: Cifar, alike: AlikeDetails, params: CurateParams) -> Image.Image:
    """Pairs with a test image, drawn at random: copies above, questions below, a line between."""
    with_test = cifar.is_test[alike.pairs].any(axis=1)
    certain = np.flatnonzero(with_test & (alike.score >= params.dup_auto_agreement))
    maybe = np.flatnonzero(
        with_test
        & (alike.score < params.dup_auto_agreement)
        & (alike.score >= params.dup_review_agreement)
    )
    rng = np.random.default_rng(0)
    parts = [
        _tiles(cifar, alike.pairs[rng.permutation(group)[: PER_LINE * LINES]], PER_LINE)
        for group in (certain, maybe)
    ]
    whole = np.concatenate([parts[0], np.zeros((6, parts[0].shape[1], 3), np.uint8), parts[1]])
    image = Image.fromarray(whole)
    return image.resize((image.width * SCALE, image.height * SCALE), Image.Resampling.NEAREST)


def _tiles(cifar: Cifar, pairs: NDArray[np.int64], per_line: int) -> NDArray[np.uint8]:
    gap = np.full((32, 6, 3), 255, np.uint8)
    tiles = [np.concatenate([*cifar.pixels_NHWC[pair], gap], axis=1) for pair in pairs]
    tiles += [np.full_like(gap, 255, shape=(32, 70, 3))] * (-len(tiles) % per_line)
    lines = [
        np.concatenate(tiles[at : at + per_line], axis=1) for at in range(0, len(tiles), per_line)
    ]
    between = np.full((4, lines[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for line in lines for part in (line, between)])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curation.cifar10_duplicates", description=__doc__
    )
    parser.add_argument("data", type=Path, help="the folder with cifar10.tar")
    parser.add_argument("--published", type=Path, help="the folder with the published lists")
    parser.add_argument("--sheet", type=Path, help="where the image of pairs goes")
    options = parser.parse_args()
    params = CurateParams()
    cifar = read_cifar(options.data / "cifar10.tar")
    published = (
        published_pairs(options.data, options.published, cifar.names) if options.published else {}
    )
    start, start_cpu = time.monotonic(), time.process_time()
    alike = alike_details(cifar.vectors_ND, cifar.thumbnails_NP, least=AGREEMENTS[0])
    cost = time.monotonic() - start, time.process_time() - start_cpu
    equal = alike_pixels(cifar.thumbnails_NP, max_rms=params.dup_small_rms)
    rows = [
        row("images", "all", "images", [len(cifar.names)]),
        row("images", "test", "images", [int(cifar.is_test.sum())]),
        row("details", "wall", "s", [cost[0]]),
        row("details", "CPU", "s", [cost[1]]),
        row("details", "different images agree by less than", "agreement", [alike.chance]),
        row(f"pixels within {params.dup_small_rms:g} levels", "pairs", "pairs", [len(equal)]),
        *found_rows(cifar, alike, published),
    ]
    if options.sheet:
        sheet(cifar, alike, params).save(options.sheet)
    print(f"wrote {write_results('cifar10_duplicates', rows)}")


if __name__ == "__main__":
    main()
