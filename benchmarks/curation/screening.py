"""What `inspect` sees in real photographs, how fast, and whether its bytes depend on how it was run.

    python -m benchmarks.curation.screening [--count 1024] [--images FOLDER]

The photographs are those of benchmarks/support/photographs.py. Rows are named after the acceptance table of issue 5: 13
damage noticed, beside Pillow and OpenCV; 20 images per CPU second of one core at 500 x 375 (hashed, decoded,
perceptual hashes, quality, features, tables written); 21 quality remarks on planted images, and on the photographs as
they are; 22 the same bytes with 1 and 8 workers, with an empty and a full memo; 23 planted GPS positions in the outputs
of inspect and convert and in the report's thumbnails. Writes benchmarks/results/screening.json.
"""

from __future__ import annotations

import argparse
import base64
import io
import itertools
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

from benchmarks.robustness.damage import DAMAGES, NOTICE, we_notice
from benchmarks.speed.conversion import Source
from benchmarks.support.photographs import FOLDER, make_photographs
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.convert.run import run as convert
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.quality import quality_remarks
from pipeline_lib.harness.memo import digest
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.inspect.image import examine
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.run import run as inspect
from pipeline_lib.inspect.shard import ShardTask, ShardUnit
from pipeline_lib.pixels import PixelRules
from pipeline_lib.reasons import Remark
from pipeline_lib.report.thumbnails import thumbnails
from pipeline_lib.settings import Settings
from pipeline_lib.tables.members import MEMBERS

PARAMS = InspectParams()
DAMAGED, DRAWS = 100, 3  # images of a draw, and draws
PLANTED = 100  # images of each kind
SPEED_SIZE, SPEED_COUNT, REPEATS = (500, 375), 200, 5
POSITION = "GPS-AREA-4711"


def damage_rows(files: Sequence[bytes]) -> Iterator[Row]:
    """Row 13: the share of damaged files that each decoder refuses, over some draws."""
    for name, damage in DAMAGES.items():
        noticed: dict[str, list[float]] = {who: [] for who in NOTICE}
        for seed in range(DRAWS):
            rng = random.Random(seed)
            drawn = rng.sample(range(len(files)), DAMAGED + 1)
            pairs = itertools.pairwise(drawn)
            damaged = [damage(files[one], files[other], rng) for one, other in pairs]
            for who, notices in NOTICE.items():
                noticed[who].append(sum(map(notices, damaged)) / len(damaged))
        for who, shares in noticed.items():
            yield row(f"row 13: {name}", f"noticed by {who}", "share", shares)
    again = [variant for data in files[:: len(files) // DAMAGED] for variant in encoded_again(data)]
    false = sum(map(we_notice, [*files, *again]))
    yield row("row 13: sound files", "false alarms", "files", [false])
    yield row("row 13: sound files", "looked at", "files", [len(files) + len(again)])


def encoded_again(data: bytes) -> Iterator[bytes]:
    """The image as other JPEGs: progressive, of optimised codes, poor, without subsampling, with restart marks."""
    picture = Image.open(io.BytesIO(data))
    options: list[dict[str, object]] = [{"progressive": True}, {"optimize": True}, {"quality": 30}]
    options += [{"subsampling": 0}, {"restart_marker_rows": 1}]
    for each in options:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", **{"quality": 90, **each})
        yield buffer.getvalue()


def speed_rows(paths: Sequence[Path], folder: Path) -> Iterator[Row]:
    """Row 20: one shard of images of SPEED_SIZE through the very task of a worker."""
    chosen = [path for path in paths if Image.open(path).size == SPEED_SIZE][:SPEED_COUNT]
    source = Source(chosen, folder).list("all", range(len(chosen)), shard_bytes=1e12)
    unit = ShardUnit(MEMBERS.read(source / "members.parquet"), folder / "out")
    task = ShardTask(source / "shards", PARAMS, None)
    task(unit, lambda image_id: None)
    cpu, wall = [], []
    for _ in range(REPEATS):
        began = time.process_time(), time.perf_counter()
        task(unit, lambda image_id: None)
        cpu.append(len(chosen) / (time.process_time() - began[0]))
        wall.append(len(chosen) / (time.perf_counter() - began[1]))
    size = np.mean([path.stat().st_size for path in chosen]) / 1000
    case = "row 20: screen at 500 x 375"
    yield row(case, "images per second of CPU", "1/s", cpu)
    yield row(case, "images per second, one process", "1/s", wall)
    yield row(case, "size of an image", "kB", [size])


PLANTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "dark": lambda picture: picture.point(lambda level: level * 0.2),
    "light": lambda picture: picture.point(lambda level: 235 + level * 0.07),
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(4)),
    "low_information": lambda picture: Image.new("RGB", picture.size, picture.getpixel((9, 9))),
    "elongated": lambda picture: picture.crop((0, 0, picture.width, picture.height // 8)),
}


def quality_rows(files: Sequence[bytes]) -> Iterator[Row]:
    """Row 21: recall on planted images, and the photographs that carry each remark as they are."""
    step = len(files) // PLANTED
    for name, plant in PLANTS.items():
        planted = [_jpeg(plant(Image.open(io.BytesIO(data)))) for data in files[::step]]
        yield row(
            "row 21: planted", f"{name} found", "share", [_remarked(planted)[Remark(name)].mean()]
        )
    small = [_jpeg(Image.open(io.BytesIO(data)).resize((40, 24))) for data in files[::step]]
    refused = [
        examine("a.jpg", data, InspectParams(min_side_px=32)).findings["refusal"] for data in small
    ]
    yield row(
        "row 21: planted", "too_small found", "share", [refused.count("too_small") / len(refused)]
    )
    remarks = _remarked(files)
    for name in PLANTS:
        yield row(
            "row 21: photographs as they are", f"{name}", "share", [remarks[Remark(name)].mean()]
        )
    anything = pd.concat([remarks[Remark(name)] for name in PLANTS], axis=1).any(axis=1)
    yield row("row 21: photographs as they are", "any of these", "share", [anything.mean()])


def _remarked(files: Sequence[bytes]) -> dict[Remark, pd.Series]:
    found = pd.DataFrame([examine("a.jpg", data, PARAMS).findings for data in files])
    return quality_remarks(found, CurateParams())


def _jpeg(picture: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def same_bytes_rows(paths: Sequence[Path], folder: Path) -> Iterator[Row]:
    """Row 22: digests of all outputs of a whole run of the stage."""
    source = Source(paths, folder).list("all", range(len(paths)), shard_bytes=4e6)
    found = [
        _inspected(source, workers=workers, state=state)
        for workers, state in ((1, "a"), (8, "b"), (8, "b"))
    ]
    shards = len(list((source / "out/features").iterdir()))
    case = f"row 22: {len(paths)} photographs in {shards} shards"
    yield row(case, "8 workers as 1, empty memo", "share", [float(found[1] == found[0])])
    yield row(case, "full memo as empty memo", "share", [float(found[2] == found[0])])
    yield row(case, "files compared", "files", [len(found[0])])


def _inspected(source: Path, *, workers: int, state: str) -> dict[str, str]:
    shutil.rmtree(source / "out", ignore_errors=True)
    inspect(
        _job(
            source,
            InspectParams(),
            ("images.parquet", "features", "pixel_rules.json"),
            workers,
            state,
        )
    )
    files = sorted(path for path in (source / "out").rglob("*") if path.is_file())
    return {str(path.relative_to(source)): digest(path) for path in files}


def _job(
    source: Path, params: object, outputs: Sequence[str], workers: int = 1, state: str = "state"
) -> StageRun:
    reads = {name.partition(".")[0]: source / name for name in ("shards", "members.parquet")}
    reads |= {
        "images": source / "out/images.parquet",
        "pixel_rules": source / "out/pixel_rules.json",
    }
    writes = {name.partition(".")[0]: source / "out" / name for name in outputs}
    return StageRun(
        source, reads, writes, params, Settings(workers=workers, state_dir=source.parent / state)
    )


def position_rows(paths: Sequence[Path], folder: Path) -> Iterator[Row]:
    """Row 23: photographs with a GPS position, in EXIF and in the EXIF of a PNG, through inspect and convert."""
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 33.0), 28: POSITION.encode()})
    located = []
    for number, path in enumerate(paths):
        located.append(folder / f"{number}{('.jpg', '.png')[number % 2]}")
        located[-1].parent.mkdir(exist_ok=True)
        Image.open(path).save(located[-1], exif=exif.tobytes(), quality=90)
    source = Source(located, folder / "all").list("all", range(len(located)), shard_bytes=1e12)
    inspect(_job(source, InspectParams(), ("images.parquet", "features", "pixel_rules.json")))
    convert(_job(source, ConvertParams(), ("betons",)))
    members = MEMBERS.read(source / "members.parquet")
    pictures = thumbnails(
        members["image_id"], members=members, shards=source / "shards", rules=PixelRules()
    )
    for number, uri in enumerate(pictures.values()):
        (source / "out" / f"thumbnail-{number}").write_bytes(
            base64.b64decode(uri.partition(",")[2])
        )
    outputs = [path for path in (source / "out").rglob("*") if path.is_file()]
    has_gps = pd.read_parquet(source / "out/images.parquet")["has_gps"]
    needles = [POSITION.encode(), b"Exif\0\0", b"eXIf"]
    yield row("row 23: GPS", "positions counted by inspect", "share", [float(has_gps.mean())])
    yield row("row 23: GPS", "files searched", "files", [len(outputs)])
    holding = [path for path in outputs if any(needle in path.read_bytes() for needle in needles)]
    yield row("row 23: GPS", "files with a position or any EXIF", "files", [len(holding)])


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curation.screening", description=__doc__
    )
    parser.add_argument("--count", type=int, default=1024, help="photographs (default 1024)")
    parser.add_argument("--images", type=Path, help="a folder of images of your own")
    options = parser.parse_args()
    paths = make_photographs(FOLDER, count=options.count, images=options.images)
    files = [path.read_bytes() for path in paths]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = [*speed_rows(paths, folder / "speed"), *damage_rows(files), *quality_rows(files)]
        rows += [
            *same_bytes_rows(paths[::2], folder / "same"),
            *position_rows(paths[::20], folder / "located"),
        ]
    for one in rows:
        print(json.dumps([one.case, one.metric, round(one.median, 4)]))
    print(f"wrote {write_results('screening', rows, also=('opencv-python',))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
