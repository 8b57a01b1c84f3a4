"""Converting JPEG files: ours against FFCV's DatasetWriter, and what one per cent more images cost.

    python -m benchmarks.speed.conversion [--count 2048] [--times 4] [--repeats 5] [--images FOLDER]

The same photographs (benchmarks/support/photographs.py, each `times` times under another name), the same quality 90,
two workers, sides in turn. Ours reads every row back and checks it; the stock writer checks nothing, so it is also
given with its own Loader reading every image back. Compared: JPEGs that already fit, which ours passes on; images
shrunk to 256 px, which both encode; how far stored pixels are from their source; and ours alone at one per cent more
images. Writes benchmarks/results/conversion.json.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.support.photographs import FOLDER, make_photographs
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.betons.layout import ALLOCATION, HEADER, SAMPLE, SAMPLES_AT, Array
from pipeline_lib.betons.read import Beton, open_beton
from pipeline_lib.pixels import PixelRules
from pipeline_lib.shards.cut import ShardSizes, cut_shards, shard_id
from pipeline_lib.tables.beton_index import BETON_INDEX
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.table import Table

SHARDS = 128  # so that one per cent is more than one shard
SHRUNK_PX = 256
COMPARED = 64  # images whose stored pixels are compared with those of their source
Taken = dict[str, float]


class Source:
    """Photographs in one container, and tables that name each of them several times. folder: where all lies."""

    def __init__(self, paths: Sequence[Path], folder: Path) -> None:
        (folder / "shards").mkdir(parents=True)
        self.folder = folder
        self.paths = [
            Path(shutil.copy(path, folder / f"{number:06}.jpg"))
            for number, path in enumerate(paths)
        ]
        self.facts: list[dict[str, object]] = []
        with (folder / "shards/photographs.bin").open("wb") as container:
            for path in self.paths:
                data = path.read_bytes()
                width, height = Image.open(io.BytesIO(data)).size
                place = {
                    "container": "photographs.bin",
                    "offset_bytes": container.tell(),
                    "size_bytes": len(data),
                }
                self.facts.append(
                    {**place, "sha256": hashlib.sha256(data).hexdigest(), "w": width, "h": height}
                )
                container.write(data)

    def list(self, name: str, pictures: Sequence[int], *, shard_bytes: float) -> Path:
        """Tables of images in this order, as download and inspect write them; a number may come more than once."""
        rows = pd.DataFrame([self.facts[number % len(self.facts)] for number in pictures])
        rows["image_id"] = [f"photographs/{number:06}.jpg" for number in pictures]
        limits = ShardSizes(int(shard_bytes / 4), int(shard_bytes), int(shard_bytes * 2))
        for held in cut_shards(list(rows["image_id"]), list(rows["size_bytes"]), limits):
            some = rows.iloc[held.start : held.stop]
            rows.loc[some.index, "shard"] = shard_id(
                list(zip(some["image_id"], some["sha256"], strict=True))
            )
            rows.loc[some.index, "row_in_shard"] = range(len(some))
        folder = self.folder / name
        folder.mkdir()
        (folder / "shards").symlink_to(self.folder / "shards")
        _write(MEMBERS, rows.assign(source="photographs"), folder / "members.parquet")
        sizes = rows.assign(width_px=rows["w"], height_px=rows["h"], exif_orientation=1)
        _write(IMAGES, sizes, folder / "images.parquet")
        (folder / "pixel_rules.json").write_text(PixelRules().model_dump_json(), encoding="utf-8")
        files = [self.paths[number % len(self.paths)] for number in pictures]
        (folder / "files.txt").write_text("".join(f"{file}\n" for file in files), encoding="utf-8")
        return folder


def _write(table: Table, rows: pd.DataFrame, path: Path) -> None:
    names = [column.name for column in table.columns]
    table.write(
        rows.reindex(columns=names).astype(object).where(lambda frame: frame.notna(), None), path
    )


def convert(side: str, source: Path, out: Path, *options: str) -> Taken:
    """Run one conversion in its own process; what it measured."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.support.one_conversion",
        side,
        str(source),
        str(out),
        *options,
    ]
    said = subprocess.run(
        command, stdout=subprocess.PIPE, encoding="utf-8", check=True, timeout=900
    ).stdout
    taken: Taken = json.loads(said.splitlines()[-1])
    return taken


def compare(source: Path, n: int, repeats: int, options: Sequence[str], case: str) -> list[Row]:
    """Both sides in turn, from nothing."""
    stock, ours = [], []
    with tempfile.TemporaryDirectory(dir=source) as temporary:
        folder = Path(temporary)
        for number in range(repeats):
            stock.append(convert("stock", source, folder / "stock.beton", "--read-back", *options))
            ours.append(convert("ours", source, folder / "ours", *options))
            if number == 0 and not options:
                far = [
                    _distances(source, kept) for kept in (folder / "stock.beton", folder / "ours")
                ]
            print(
                f"{case}: {_line('stock', stock[-1], n)}; {_line('ours', ours[-1], n)}", flush=True
            )
            shutil.rmtree(folder)
            folder.mkdir()
    read = [_with_read_back(one) for one in stock]
    sides = (
        ("FFCV's writer, nothing checked", stock),
        ("FFCV's writer, then its Loader", read),
        ("ours, checked", ours),
    )
    rows = [one for name, taken in sides for one in _rows(f"{case}: {name}", taken, n)]
    for name, taken in sides[:2]:
        for kind in ("cpu", "wall"):
            times = [
                a[f"convert_{kind}_s"] / b[f"convert_{kind}_s"]
                for a, b in zip(taken, ours, strict=True)
            ]
            rows.append(row(f"{case}: {name} / ours", f"{kind} time", "x", times))
    if not options:
        for name, distances in zip((sides[0][0], sides[2][0]), far, strict=True):
            rows.append(
                row(
                    f"{case}: {name}", "mean difference to the source's pixels", "levels", distances
                )
            )
    return rows


def _with_read_back(taken: Taken) -> Taken:
    summed = {
        f"convert_{kind}_s": taken[f"convert_{kind}_s"] + taken[f"read_back_{kind}_s"]
        for kind in ("wall", "cpu")
    }
    return {**taken, **summed}


def _rows(case: str, taken: Sequence[Taken], n: int) -> list[Row]:
    return [
        row(case, "CPU per image", "ms", [1000 * one["convert_cpu_s"] / n for one in taken]),
        row(case, "speed, two workers", "images/s", [n / one["convert_wall_s"] for one in taken]),
        row(case, "size", "kB/image", [one["size_bytes"] / n / 1000 for one in taken]),
    ]


def _line(name: str, taken: Mapping[str, float], n: int) -> str:
    return f"{name} {1000 * taken['convert_cpu_s'] / n:.2f} CPU ms, {n / taken['convert_wall_s']:.0f} images/s"


def _distances(source: Path, kept: Path) -> list[float]:
    """Mean absolute difference, in levels 0..255, of stored images to what Pillow decodes of their files."""
    files = (source / "files.txt").read_text(encoding="utf-8").splitlines()
    return [
        float(
            np.abs(_pixels(stream).astype(int) - _pixels(Path(files[number]).read_bytes())).mean()
        )
        for number, stream in _streams(kept)
    ]


def _streams(kept: Path) -> list[tuple[int, bytes]]:
    """Some (number of the image, JPEG stream) of FFCV's file, or of our folder of betons."""
    if kept.is_file():
        beton = _open_stock(kept)
        return [
            (int(beton.samples_N["row"][at]), beton.stored(at).tobytes()) for at in range(COMPARED)
        ]
    found = []
    for path in sorted(kept.glob("*.beton")):
        image_ids = BETON_INDEX.read(path.with_suffix(".index.parquet"))["image_id"]
        found.append(
            (int(image_ids.iloc[0].split("/")[1][:-4]), open_beton(path).stored(0).tobytes())
        )
    return found[:COMPARED]


def _open_stock(path: Path) -> Beton:
    """FFCV's file: two workers write samples in any order, so sizes are looked up by where an image lies."""
    content = np.memmap(path, np.uint8, mode="r")
    header = content[: HEADER.itemsize].view(HEADER)[0]
    samples_N = content[
        SAMPLES_AT : SAMPLES_AT + int(header["num_samples"]) * SAMPLE.itemsize
    ].view(SAMPLE)
    allocations = np.sort(content[int(header["alloc_table_ptr"]) :].view(ALLOCATION), order="ptr")
    found = np.searchsorted(allocations["ptr"], samples_N["image"]["data_ptr"])
    return Beton(path, samples_N, allocations["size"][found], content)


def _pixels(data: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def grow(source: Source, n: int, repeats: int, *, shard_bytes: float) -> list[Row]:
    """Ours at one per cent more images: behind the others, and scattered among them."""
    more, rng = n // 100, random.Random(0)
    scattered = list(range(n))
    for number in range(n, n + more):
        scattered.insert(rng.randrange(len(scattered)), number)
    cases = {"behind the others": list(range(n + more)), "scattered among them": scattered}
    before = source.list("before", range(n), shard_bytes=shard_bytes)
    after = {
        case: source.list(f"after {case}", order, shard_bytes=shard_bytes)
        for case, order in cases.items()
    }
    shares: dict[tuple[str, str], list[float]] = {}
    for _ in range(repeats):
        for case, folder in after.items():
            with tempfile.TemporaryDirectory(dir=source.folder) as temporary:
                out = Path(temporary) / "ours"
                full, again = convert("ours", before, out), convert("ours", folder, out)
            for kind in ("cpu", "wall"):
                share = again[f"convert_{kind}_s"] / full[f"convert_{kind}_s"]
                shares.setdefault((case, f"{kind} time"), []).append(share)
            shares.setdefault((case, "shards written"), []).append(again["new"] / again["shards"])
            print(
                f"1 % more images, {case}: {again['new']} of {again['shards']} shards, {share:.1%} of the time"
            )
    return [
        row(f"1 % more images, {case}", metric, "share", shares[case, metric])
        for case, metric in shares
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.conversion", description=__doc__
    )
    parser.add_argument("--count", type=int, default=2048, help="photographs (default 2048)")
    parser.add_argument("--times", type=int, default=4, help="how often each comes (default 4)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each side (default 5)")
    parser.add_argument("--images", type=Path, help="a folder of images of your own")
    options = parser.parse_args()
    paths = make_photographs(FOLDER, count=options.count, images=options.images)
    n = len(paths) * options.times
    shard_bytes = options.times * sum(path.stat().st_size for path in paths) / SHARDS
    with tempfile.TemporaryDirectory() as temporary:
        source = Source(paths, Path(temporary))
        all_of_them = source.list("all", range(n), shard_bytes=8 * shard_bytes)
        rows = compare(all_of_them, n, options.repeats, [], "JPEGs that fit")
        longest = ["--longest-px", str(SHRUNK_PX)]
        rows += compare(all_of_them, n, options.repeats, longest, f"shrunk to {SHRUNK_PX} px")
        rows += grow(source, 2 * n, options.repeats, shard_bytes=2 * shard_bytes)
    print(f"wrote {write_results('conversion', rows)}")


if __name__ == "__main__":
    main()
