"""What a batch of training views costs: ours, FFCV as it ships, and the loaders people use instead, side by side.

    make competitors
    .venv-benchmarks/bin/python -m benchmarks.speed.loaders [--images FOLDER] [--count 2048] [--repeats 5]

All read the same photographs (benchmarks/support/photographs.py; --images: your own, for instance ImageNet's) and give
the same output (benchmarks/support/competitors). A run of a loader is a process of its own: one epoch to warm up, then
three that are measured, on two cores with two workers and files in the page cache. Repeats go round in turn, so that a
machine whose speed drifts is unfair to none, and ratios are taken within a repeat. --before: a checkout of an earlier
version, whose default loader is measured beside this one's. Writes benchmarks/results/loaders.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.support.competitors import BATCH_SIZE, WORKERS
from benchmarks.support.competitors.stores import STORES, write_store
from benchmarks.support.photographs import FOLDER as PHOTOGRAPHS
from benchmarks.support.photographs import make_photographs
from benchmarks.support.results_file import Row, row, write_results

ROOT = Path(__file__).parents[2]
STORED = ROOT / "build/loaders"
LIBRARIES = ("webdataset", "litdata", "mosaicml-streaming", "nvidia-dali-cuda130")
EPOCHS = 3
LONG_EPOCHS = 20
OWN = (
    "OMP_NUM_THREADS",
    "PYTHONPATH",
)  # variables of this process that a loader's process must not get
MAX_S = 300  # of one process; ours takes a few seconds
LEVEL_TOLERANCE = 4.0  # of 255: crops are random, so means of all pixels differ a little


@dataclass(frozen=True)
class Case:
    """A loader and what it reads. store: a key of STORES, or `files`. checkout: whose code it is, None for this one."""

    name: str
    form: str  # jpg500 or raw400
    module: str
    store: str
    option: str = ""
    checkout: Path | None = None

    def __str__(self) -> str:
        return f"{self.form}, {self.name}"


FORMS = ("jpg500", "raw400")
STOCK = {form: Case("FFCV 1.0.2", form, "stock_ffcv", form) for form in FORMS}
OURS = {form: Case("Perennial", form, "perennial", form, "native") for form in FORMS}
CASES = (
    Case("torchvision ImageFolder, PIL", "jpg500", "image_folder", "files", "pil"),
    Case("torchvision ImageFolder, decode_image", "jpg500", "image_folder", "files", "native"),
    Case("WebDataset", "jpg500", "web_dataset", "tar"),
    Case("LitData", "jpg500", "lit_data", "litdata"),
    Case("MosaicML Streaming", "jpg500", "mosaic", "mds"),
    Case("DALI on the CPU", "jpg500", "dali", "files"),
    STOCK["jpg500"],
    Case("Perennial, `train.views: ffcv`", "jpg500", "perennial", "jpg500", "ffcv"),
    Case("Perennial, `loader = python`", "jpg500", "perennial", "jpg500", "python"),
    OURS["jpg500"],
    STOCK["raw400"],
    Case("Perennial, `train.views: ffcv`", "raw400", "perennial", "raw400", "ffcv"),
    Case("Perennial, `loader = python`", "raw400", "perennial", "raw400", "python"),
    OURS["raw400"],
)
METRICS = {  # measured -> metric, unit
    "cpu_ms": ("CPU per image", "ms"),
    "first_batch_cpu_s": ("CPU to first batch", "s"),
    "first_batch_s": ("process start to first batch", "s"),
    "memory_mb": ("memory beside the page cache", "MB"),
}


def run_loader(
    case: Case, *, epochs: int = EPOCHS, memory_at: Sequence[int] = ()
) -> dict[str, Any]:
    """One process. Raises SystemExit with the end of what it said when it fails."""
    folder = PHOTOGRAPHS if case.store == "files" else STORED / case.store
    task = {
        "module": case.module,
        "option": case.option,
        "folder": str(folder),
        "started": time.monotonic(),
    }
    command = [
        sys.executable,
        "-m",
        "benchmarks.support.one_loader",
        json.dumps(task | {"epochs": epochs, "memory_at": memory_at}),
    ]
    environment = {name: value for name, value in os.environ.items() if name not in OWN}
    folder = ROOT if case.checkout is None else beside(case.checkout)
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=MAX_S,
        check=False,
    )
    if done.returncode:
        sys.exit(
            f"{case}: exit code {done.returncode}\n{done.stderr[-2000:]}\nRemedy: run `make competitors`, then again"
        )
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    first = (
        f"first batch {measured['first_batch_s']:.1f} s, {measured['first_batch_cpu_s']:.2f} of CPU"
    )
    print(
        f"{case}: {measured['cpu_ms']:.3f} ms, {first}, {measured['memory_mb']:.0f} MB", flush=True
    )
    return measured


def beside(checkout: Path) -> Path:
    """A folder with the library of another checkout and the benchmarks of this one."""
    folder = STORED / "before"
    folder.mkdir(parents=True, exist_ok=True)
    for name, of in (("pipeline_lib", checkout), ("benchmarks", ROOT)):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(of.resolve() / name)
    return folder


def before(checkout: Path) -> list[Case]:
    """The default loader of an earlier version, which is called by its commit."""
    git = ["git", "-C", str(checkout), "rev-parse", "--short=7", "HEAD"]
    commit = subprocess.run(git, capture_output=True, encoding="utf-8", check=True).stdout.strip()
    return [
        Case(f"Perennial at {commit}", form, "perennial", form, "auto", checkout) for form in FORMS
    ]


def check_shown(measured: Mapping[Case, dict[str, Any]], *, count: int) -> None:
    """Every loader must have shown all the images, or its figures mean nothing. Raises SystemExit."""
    expected = next(iter(measured.values()))["mean_level"]
    for case, figures in measured.items():
        if abs(figures["mean_level"] - expected) > LEVEL_TOLERANCE:
            sys.exit(
                f"{case}: other pixels (mean level {figures['mean_level']:.1f}, another loader's {expected:.1f})"
            )
        # Each worker may drop part of a batch.
        if not count - WORKERS * BATCH_SIZE < figures["n_images"] <= count:
            sys.exit(f"{case}: {figures['n_images']} images in an epoch of {count}")


def rows_of(runs: Mapping[Case, list[dict[str, Any]]]) -> list[Row]:
    """The spread of each figure over the repeats, and how many times less CPU than stock FFCV in the same repeat."""
    rows = []
    for case, repeats in runs.items():
        rows += [row(str(case), *METRICS[name], [one[name] for one in repeats]) for name in METRICS]
        if STOCK[case.form] in runs:
            pairs = zip(runs[STOCK[case.form]], repeats, strict=True)
            rows.append(
                row(
                    str(case),
                    "CPU of stock FFCV over its own",
                    "x",
                    [a["cpu_ms"] / b["cpu_ms"] for a, b in pairs],
                )
            )
    return rows


def long_rows(case: Case) -> list[Row]:
    """What twenty epochs leave behind: memory, threads and files after the second and after the last."""
    early, late = run_loader(case, epochs=LONG_EPOCHS - 1, memory_at=(1, LONG_EPOCHS - 1))["looks"]
    units = {"memory_mb": "MB", "threads": "threads", "files": "files"}
    name = f"{case}, {LONG_EPOCHS} epochs"
    return [
        row(name, f"{what.removesuffix('_mb')} after {when}", unit, [at[what]])
        for what, unit in units.items()
        for when, at in (("epoch 2", early), (f"epoch {LONG_EPOCHS}", late))
    ]


def image_rows(jpegs: Sequence[Path]) -> list[Row]:
    """What the images are."""
    size_bytes = [path.stat().st_size for path in jpegs]
    n_px = [math.prod(Image.open(path).size) for path in jpegs]
    return [
        row("images", "size", "kB", [size / 1000 for size in size_bytes]),
        row("images", "mean bytes per pixel", "B", [sum(size_bytes) / sum(n_px)]),
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.loaders", description=__doc__)
    parser.add_argument("--images", type=Path, help="a folder of images of your own")
    parser.add_argument("--count", type=int, default=2048, help="images in an epoch (default 2048)")
    parser.add_argument(
        "--repeats", type=int, default=5, help="processes of each loader (default 5)"
    )
    parser.add_argument("--only", help="loaders whose name has this in it; writes no result")
    parser.add_argument(
        "--before", type=Path, help="a checkout of an earlier version, measured beside this one"
    )
    options = parser.parse_args()
    jpegs = make_photographs(PHOTOGRAPHS, count=options.count, images=options.images)
    for store in STORES:
        write_store(store, jpegs, STORED / store)
    every = [*CASES, *(before(options.before) if options.before else ())]
    cases = [case for case in every if options.only is None or options.only in str(case)]
    if not cases:
        parser.error(f"no loader has {options.only} in its name")
    runs: dict[Case, list[dict[str, Any]]] = defaultdict(list)
    for repeat in range(options.repeats):
        start = repeat * len(cases) // options.repeats
        measured = {case: run_loader(case) for case in cases[start:] + cases[:start]}
        check_shown(measured, count=len(jpegs))
        for case in cases:
            runs[case].append(measured[case])
    if options.only is None:
        rows = [*image_rows(jpegs), *rows_of(runs)]
        rows += [one for case in (*OURS.values(), *STOCK.values()) for one in long_rows(case)]
        print(f"wrote {write_results('loaders', rows, also=LIBRARIES)}")


if __name__ == "__main__":
    main()
