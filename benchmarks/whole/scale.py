"""What an image costs in each stage, and how `curate` grows: the figures behind the estimates of docs/scale.md.

    python -m benchmarks.whole.scale [--only stages|pairs|curate] [--images FOLDER]

- stages: `dvc repro` from `discover` to `convert` in a clone, on 500 and on 2,000 photographs of 500 px and a first run; CPU
  seconds and memory are those that the stages themselves note in operations.jsonl. The difference of the two, by image, is
  free of what a stage costs to start. Windows of Debian's backgrounds, or images of your own (--images).
- curate: on made tables (1,000 classes of unequal size, 1 % copies, 1 % damaged, vectors of 128 directions in which classes
  overlap, hashes without chance neighbours, plain views), in a process of its own for each number of rows. What `curate`
  reads of features before, and shortens, is not in it.
- pairs: the closer look at two photographs that a network finds alike, for which plain views have too little; of 200,000
  pairs at most. And the search for such pairs alone, in up to 200,000 made vectors.

Writes benchmarks/results/scale.json.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from benchmarks.support.made_tables import made_found
from benchmarks.support.photographs import make_photographs
from benchmarks.support.results_file import Row, kept_rows, row, write_results
from pipeline_lib.curate.duplicate_looks import looks_at
from pipeline_lib.curate.duplicate_neighbours import neighbour_pairs
from pipeline_lib.curate.inputs import Inputs
from pipeline_lib.inspect.small_view import small_view

ROOT = Path(__file__).parents[2]
FEW, MANY = 500, 2000
STAGES = ("discover", "download", "inspect", "convert")
OUTS = ("download/shards", "inspect/features", "convert/betons")
PAIRS = 300
SEARCHED = (50_000, 200_000)
ROWS = (25_000, 50_000, 100_000)
N_CLASSES = 1000
DIRECTIONS = 128
SPREAD = 1.06  # of the images of a class, in units of the spread of classes: an out-of-fold accuracy of .93


def main() -> None:
    """Command line; `--child` is this file's own way to start a case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.whole.scale", description=__doc__)
    parser.add_argument("--only", choices=("stages", "pairs", "curate"))
    parser.add_argument("--images", type=Path, help="a folder of photographs of your own")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(curated(options.child)))
        return
    rows: list[Row] = []
    if options.only in (None, "stages"):
        rows += by_stage(options.images)
    if options.only in (None, "pairs"):
        rows += by_pair(options.images)
    if options.only in (None, "curate"):
        rows += [one for n in ROWS for one in by_rows(n)]
    kept = kept_rows("scale", but={one.case for one in rows})
    print(f"wrote {write_results('scale', [*kept, *rows])}")


def by_stage(images: Path | None) -> Iterator[Row]:
    """Per image: CPU time by stage, and bytes by output."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = {n: line(n, images, folder / str(n)) for n in (FEW, MANY)}
    more = MANY - FEW
    yield row("stages", "size of an image", "kB", [found[MANY]["received"] / MANY / 1000])
    for stage in STAGES:
        few, many = (found[n][f"{stage} cpu_s"] for n in (FEW, MANY))
        yield row(stage, "CPU per image", "ms", [1000 * (many - few) / more])
        yield row(stage, "CPU to start", "s", [few - FEW * (many - few) / more])
        yield row(stage, "peak memory", "MB", [found[MANY][f"{stage} peak_mb"]])
    for out in OUTS:
        yield row(out, "size per image", "kB", [(found[MANY][out] - found[FEW][out]) / more / 1000])


def line(n: int, images: Path | None, folder: Path) -> dict[str, float]:
    """What the stages of a clone noted about n photographs, and the sizes of what they wrote."""
    photographs = folder / "photographs"
    paths = make_photographs(photographs, count=n, images=images)
    (photographs / "images.txt").unlink()
    clone = folder / "perennial"
    subprocess.run(["git", "clone", "--quiet", "--no-tags", str(ROOT), str(clone)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(clone)}
    for words in (
        [sys.executable, "-m", "flows.cli", "init", str(photographs), "--force"],
        [sys.executable, "-m", "dvc", "repro", "--quiet", "convert"],
    ):
        subprocess.run(words, cwd=clone, env=environment, check=True, stdout=subprocess.DEVNULL)
    noted = (clone / ".perennial/operations.jsonl").read_text(encoding="utf-8").splitlines()
    figures: dict[str, float] = {"received": float(sum(path.stat().st_size for path in paths))}
    for entry in map(json.loads, noted):
        figures |= {f"{entry['stage']} {key}": entry[key] for key in ("cpu_s", "peak_mb")}
    for out in OUTS:
        files = (path for path in (clone / "line" / out).rglob("*") if path.is_file())
        figures[out] = float(sum(path.stat().st_size for path in files))
    shutil.rmtree(folder)
    print(n, figures, flush=True)
    return figures


def by_rows(n: int) -> Iterator[Row]:
    """`curate` on n rows."""
    words = [sys.executable, "-m", "benchmarks.whole.scale", "--child", str(n)]
    done = subprocess.run(words, check=True, capture_output=True, encoding="utf-8")
    figures = json.loads(done.stdout.splitlines()[-1])
    print(n, figures, flush=True)
    for metric, (unit, value) in figures.items():
        yield row(f"curate, {n:,} rows", metric, unit, [value])


def curated(n: int) -> dict[str, tuple[str, float]]:
    """Decide on n made rows; what it cost, and how well the made classes could be told apart."""
    from pipeline_lib.curate.decide import curate
    from pipeline_lib.curate.params import CurateParams

    found = with_features(made_found(n, n_classes=N_CLASSES))
    before, began = cpu_s(), time.monotonic()
    decided = curate(found, CurateParams())
    assert len(decided.manifest) == n
    return {
        "CPU time": ("s", cpu_s() - before),
        "wall time": ("s", time.monotonic() - began),
        "peak memory": ("GB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6),
        "out-of-fold accuracy": ("", decided.statistics["label_issues"]["out_of_fold_accuracy"]),
    }


def with_features(found: Inputs) -> Inputs:
    """Vectors around the centre of each class, equal for equal pixels, and hashes that are equal only for copies."""
    random = np.random.default_rng(1)
    looks, number = np.unique(found.images["pixel_hash"].astype(str), return_inverse=True)
    label = found.members["label_received"].astype("category").cat.codes.to_numpy()
    vectors_ND = made_vectors(label[np.unique(number, return_index=True)[1]], random)[number]
    phash = random.integers(0, 2**64, len(looks), np.uint64)
    variants = random.integers(0, 2**64, (len(looks), 6), np.uint64)
    features = pd.DataFrame(
        {
            "image_id": found.images["image_id"],
            "kind": "embedding:made",
            "thumbnail": b"",
            "vector": list(vectors_ND),
        }
    )
    images = found.images.assign(
        phash=phash[number], phash_variants=list(variants[number].astype(object))
    )
    view = plain_view()
    return replace(
        found,
        images=images,
        features=features,
        views=lambda image_ids: dict.fromkeys(image_ids, view),
    )


def made_vectors(label: NDArray[np.integer], random: np.random.Generator) -> NDArray[np.float32]:
    """A vector for each label, around the centre of its class."""
    centres_KD = random.standard_normal((label.max() + 1, DIRECTIONS), np.float32)
    spread_ND = random.standard_normal((len(label), DIRECTIONS), np.float32)
    return np.asarray(centres_KD[label] + SPREAD * spread_ND, np.float32)


def plain_view() -> bytes:
    """A view without anything in it."""
    file = io.BytesIO()
    Image.new("RGB", (96, 96), (120, 130, 140)).save(file, "JPEG")
    return file.getvalue()


def by_pair(images: Path | None) -> Iterator[Row]:
    """The closer look at neighbouring photographs."""
    with tempfile.TemporaryDirectory() as folder:
        paths = make_photographs(Path(folder), count=2 * PAIRS, images=images)
        views = [small_view(np.asarray(Image.open(path))) or b"" for path in paths]
    look = looks_at(lambda row: views[row], lambda _: 1.0, variants=True)
    began = cpu_s()
    for pair in range(PAIRS):
        look.within(2 * pair, 2 * pair + 1)
    yield row("pairs", "CPU per pair", "ms", [1000 * (cpu_s() - began) / PAIRS])
    for n in SEARCHED:
        random = np.random.default_rng(0)
        vectors_ND = made_vectors(random.integers(0, N_CLASSES, n), random)
        began = cpu_s()
        neighbour_pairs(vectors_ND)
        yield row(f"pairs, {n:,} rows", "CPU to search", "s", [cpu_s() - began])


def cpu_s() -> float:
    """Of this process and its children."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


if __name__ == "__main__":
    main()
