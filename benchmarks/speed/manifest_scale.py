"""How the manifest and `curate` scale: ImageNet-1k's and ImageNet-21k's numbers of rows, time and peak memory.

    python -m benchmarks.speed.manifest_scale [--only pass|curate] [--largest ROWS]

A pass over the manifest reads twelve of its columns, counts classes by decision, counts copies by sha256, joins a new
label onto one row in a hundred, and writes the twelve columns sorted and zstd-packed, with the functions the stages use
(pipeline_lib/tables). `curate` decides on made tables (benchmarks/support/made_tables.py: 1,000 classes, 1 % copies, 1
% damaged, 3 % in subjects) without features, votes and perceptual hashes: predictors and near copies have benchmarks of
their own. Each case runs in a process of its own, whose peak memory is the kernel's. Writes
benchmarks/results/manifest_scale.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.support.results_file import RESULTS, Row, row, write_results
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.table import ROWS_PER_GROUP, Table

IMAGENET_1K, IMAGENET_21K = 1_281_167, 14_197_122
NAMES = "image_id source sha256 shard size_bytes width_px height_px class_id label_source split weight decision"
COLUMNS = NAMES.split()
PASSED = Table(
    "pass",
    1,
    "the columns of a pass",
    ("image_id",),
    tuple(c for c in MANIFEST.columns if c.name in COLUMNS),
)


def main() -> None:
    """Command line; `--child` is this file's own way to start a case."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.manifest_scale", description=__doc__
    )
    parser.add_argument("--only", choices=("pass", "curate"), help="one of the two (default both)")
    parser.add_argument(
        "--largest", type=int, default=IMAGENET_21K, help="leave out cases with more rows"
    )
    parser.add_argument("--child", nargs=2, metavar=("CASE", "ROWS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        case, n = options.child[0], int(options.child[1])
        print(json.dumps(CASES[case](n)))
        return
    wanted = [
        ("pass", IMAGENET_1K),
        ("pass", IMAGENET_21K),
        ("curate", 100_000),
        ("curate", IMAGENET_1K),
    ]
    chosen = [
        (case, n) for case, n in wanted if n <= options.largest and options.only in (None, case)
    ]
    rows = [one for case, n in chosen for one in measure(case, n)]
    kept = [one for one in rows_before() if one.case not in {new.case for new in rows}]
    print(f"wrote {write_results('manifest_scale', [*kept, *rows])}")


def rows_before() -> list[Row]:
    """What the result file holds: cases that are not measured now stay in it."""
    file = RESULTS / "manifest_scale.json"
    return (
        [Row(**one) for one in json.loads(file.read_text(encoding="utf-8"))["rows"]]
        if file.exists()
        else []
    )


def measure(case: str, n: int) -> list[Row]:
    """Run one case in a child and turn what it says into rows."""
    command = [sys.executable, "-m", "benchmarks.speed.manifest_scale", "--child", case, str(n)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    rows = as_rows(case, n, json.loads(done.stdout.splitlines()[-1]))
    for one in rows:
        print(f"{one.case}: {one.metric} {one.median:.2f} {one.unit}", flush=True)
    return rows


def as_rows(case: str, n: int, figures: dict[str, float]) -> list[Row]:
    """The figures of one case."""
    name = f"row 19: pass over {n} rows" if case == "pass" else f"curate, {n} rows"
    return [
        row(name, metric, "GB" if "memory" in metric else "s", [value])
        for metric, value in figures.items()
    ]


def pass_over(n: int) -> dict[str, float]:
    """One pass over a written manifest of n rows; seconds by step, and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "manifest.parquet", Path(folder) / "again.parquet"
        subprocess.run([sys.executable, "-c", WRITE.format(path=str(source), n=n)], check=True)
        times = Stopwatch()
        frame = PASSED.read(source, COLUMNS)
        times.mark("read")
        counted = frame.groupby(["class_id", "decision"], observed=True).size()
        copies = int(frame["sha256"].duplicated(keep=False).sum())
        times.mark("count classes and copies")
        some = frame["image_id"].iloc[::100]
        relabelled = pd.DataFrame({"image_id": some, "new": frame["class_id"].iloc[::100]})
        joined = frame.merge(relabelled, on="image_id", how="left")
        joined["class_id"] = joined.pop("new").fillna(joined["class_id"])
        times.mark("join one in a hundred")
        PASSED.write(joined, target)
        times.mark("write")
        assert counted.sum() == n and copies > 0
        return times.figures()


def decide(n: int) -> dict[str, float]:
    """curate() on n rows."""
    from benchmarks.support.made_tables import made_found
    from pipeline_lib.curate.decide import curate
    from pipeline_lib.curate.params import CurateParams

    found = made_found(n, n_classes=1000)
    times = Stopwatch()
    curated = curate(found, CurateParams())
    times.mark("decide")
    assert len(curated.manifest) == n
    with tempfile.TemporaryDirectory() as folder:
        MANIFEST.write(curated.manifest, Path(folder) / "manifest.parquet")
    times.mark("write the manifest")
    return times.figures()


class Stopwatch:
    """Seconds between marks."""

    def __init__(self) -> None:
        self.started = self.last = time.perf_counter()
        self.steps: dict[str, float] = {}

    def mark(self, name: str) -> None:
        """End a step."""
        now = time.perf_counter()
        self.steps[name], self.last = now - self.last, now

    def figures(self) -> dict[str, float]:
        """Seconds in all and by step, CPU seconds, peak memory in GB."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "in all": self.last - self.started,
            **self.steps,
            "CPU of the process": usage.ru_utime + usage.ru_stime,
            "peak memory": usage.ru_maxrss / 1e6,
        }


def write_manifest(path: str, n: int) -> None:
    """A manifest of n rows, sorted, written in row groups as the stage's is; 1 % of the sha256 occur twice."""
    random = np.random.default_rng(0)
    schema = PASSED.schema()
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, n, ROWS_PER_GROUP):
            size = min(ROWS_PER_GROUP, n - start)
            writer.write_table(some_rows(start, size, random, schema))


def some_rows(start: int, size: int, random: np.random.Generator, schema: pa.Schema) -> pa.Table:
    """`size` rows from row `start` on."""
    number = np.arange(start, start + size)
    padded = pc.utf8_lpad(pc.cast(pa.array(number), pa.string()), 9, "0")
    class_id = pc.binary_join_element_wise("n", pc.cast(pa.array(number // 1300), pa.string()), "")
    folder = pc.utf8_lpad(pc.cast(pa.array(number // 1300), pa.string()), 6, "0")
    content = random.bytes(32 * size).hex().encode()
    sha256 = pa.StringArray.from_buffers(
        size, pa.py_buffer(np.arange(0, 64 * size + 1, 64, dtype=np.int32)), pa.py_buffer(content)
    )
    twin = np.arange(size)
    twin[::200] = np.minimum(twin[::200] + 1, size - 1)
    columns = {
        "image_id": pc.binary_join_element_wise("imagenet/n", folder, "/", padded, ".JPEG", ""),
        "source": pa.array(["imagenet"] * size),
        "sha256": sha256.take(pa.array(twin)),
        "shard": pc.binary_join_element_wise(
            "shard", pc.cast(pa.array(number // 10_000), pa.string()), ""
        ),
        "size_bytes": pa.array(random.integers(20_000, 300_000, size)),
        "width_px": pa.array(np.full(size, 500)),
        "height_px": pa.array(random.integers(200, 600, size)),
        "class_id": class_id,
        "label_source": pa.array(["received"] * size),
        "split": pa.array(
            np.array(["train", "val", "test"])[random.choice(3, size, p=[0.7, 0.1, 0.2])]
        ),
        "weight": pa.array(np.ones(size)),
        "decision": pa.array(
            np.array(["keep", "remove"])[(random.random(size) < 0.02).astype(int)]
        ),
    }
    return pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema)


WRITE = "from benchmarks.speed.manifest_scale import write_manifest; write_manifest({path!r}, {n})"
CASES = {"pass": pass_over, "curate": decide}


if __name__ == "__main__":
    main()
