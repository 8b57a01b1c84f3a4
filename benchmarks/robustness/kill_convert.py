"""kill -9 of convert at random moments, again and again: do the betons come out with the same hashes in the end?

    python -m benchmarks.robustness.kill_convert [--kills 20] [--seed 0] [--count 2048]

Photographs (benchmarks/support/photographs.py) go through the stage itself, with two workers, below a checkout of their
own. Each kill hits the stage, or one of its workers, somewhere within the time that an undisturbed conversion takes;
every second run continues with what the killed one left, the others start from nothing. Counted: kills that hit,
processes left after five seconds, files under their final name with another hash than an undisturbed conversion gives
them, and whether the run after each second kill gives all its hashes. Writes benchmarks/results/kill_convert.json;
tests/pipeline/test_kill.py is the short version.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.conversion import Source
from benchmarks.support.photographs import FOLDER, make_photographs
from benchmarks.support.results_file import row, write_results
from testing.checkout import Checkout, throw_away_checkout
from testing.kill import GRACE_S, working_in

SHARDS = 24


@dataclass(frozen=True)
class Stage:
    """What a stage reads (path in a checkout -> file of the source), and the files it writes, as patterns."""

    name: str
    reads: Mapping[str, str]
    writes: tuple[str, ...]


DOWNLOADED = {"line/download/shards": "shards", "line/download/members.parquet": "members.parquet"}
INSPECTED = {
    "line/inspect/images.parquet": "images.parquet",
    "line/inspect/pixel_rules.json": "pixel_rules.json",
}
CONVERT = Stage("convert", DOWNLOADED | INSPECTED, ("line/convert/betons/*",))


@dataclass(frozen=True)
class Killed:
    """hit: the stage was still at work. left: processes alive after the grace. kept: finished shards it left behind."""

    hit: bool
    left: int
    kept: int


def lay_out(checkout: Checkout, stage: Stage, source: Path) -> None:
    """Put what the stage reads where dvc.yaml says."""
    for path, name in stage.reads.items():
        target = checkout.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source / name)


def start(checkout: Checkout, stage: Stage) -> subprocess.Popen[bytes]:
    """The stage, as dvc.yaml runs it."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline_lib.stage", stage.name],
        cwd=checkout.folder,
        env=checkout.environment(PERENNIAL_WORKERS="2"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def finish(checkout: Checkout, stage: Stage) -> dict[str, str]:
    """Run the stage without disturbance; what `hashes` finds."""
    assert start(checkout, stage).wait(timeout=600) == 0
    return hashes(checkout, stage)


def hashes(checkout: Checkout, stage: Stage) -> dict[str, str]:
    """sha256 of every file that the stage writes, by its name."""
    files = [file for pattern in stage.writes for file in sorted(checkout.folder.glob(pattern))]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def kill(checkout: Checkout, stage: Stage, *, after_s: float, a_worker: bool) -> Killed:
    """Start the stage and kill it, or one of its workers, after some seconds."""
    process = start(checkout, stage)
    time.sleep(after_s)
    workers = [
        pid for pid, command in working_in(checkout.folder).items() if "spawn_main" in command
    ]
    hit = process.poll() is None
    victim = min(workers) if a_worker and workers else process.pid
    if hit:
        os.kill(victim, signal.SIGKILL)
    process.wait(timeout=60)  # a stage that goes on without its worker ends in its own time
    began = time.monotonic()
    while (left := working_in(checkout.folder)) and time.monotonic() - began < GRACE_S:
        time.sleep(0.05)
    return Killed(
        hit, len(left), len(list((checkout.folder / ".perennial/memo" / stage.name).glob("*/*")))
    )


def forget(checkout: Checkout, stage: Stage) -> None:
    """Remove the outputs and the memo."""
    for name in (f"line/{stage.name}", ".perennial"):
        shutil.rmtree(checkout.folder / name, ignore_errors=True)


def main() -> int:
    """Command line of the benchmark of convert."""
    return measure(CONVERT, "kill_convert", case="kill -9 of convert", description=__doc__)


def measure(stage: Stage, result: str, *, case: str, description: str | None) -> int:
    """Read the command line, kill, and write the result file; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.robustness.{result}", description=description
    )
    parser.add_argument("--kills", type=int, default=20, help="how many (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    parser.add_argument("--count", type=int, default=2048, help="photographs (default 2048)")
    options = parser.parse_args()
    paths, rng = (
        make_photographs(FOLDER, count=options.count, images=None),
        random.Random(options.seed),
    )
    shard_bytes = sum(path.stat().st_size for path in paths) / SHARDS
    with tempfile.TemporaryDirectory() as temporary:
        source = Source(paths, Path(temporary) / "source").list(
            "all", range(len(paths)), shard_bytes=shard_bytes
        )
        checkout = throw_away_checkout(Path(temporary) / "line")
        lay_out(checkout, stage, source)
        began = time.monotonic()
        expected = finish(checkout, stage)
        lasts_s = time.monotonic() - began
        killed, wrong, same = [], [], []
        for number in range(options.kills):
            if number % 2 == 0:
                forget(checkout, stage)
            moment, a_worker = rng.uniform(0.1, lasts_s), number % 4 > 1
            killed.append(kill(checkout, stage, after_s=moment, a_worker=a_worker))
            wrong.append(len(hashes(checkout, stage).items() - expected.items()))
            if number % 2 == 1 or number == options.kills - 1:
                same.append(finish(checkout, stage) == expected)
            print(
                f"{'worker' if a_worker else 'stage'} at {moment:.1f} of {lasts_s:.1f} s: {killed[-1]}",
                flush=True,
            )
    rows = [
        row(case, "hit it at work", "share", [sum(one.hit for one in killed) / len(killed)]),
        row(case, "processes left after 5 s", "processes", [one.left for one in killed]),
        row(case, "files with another hash under their final name", "files", wrong),
        row(case, "finished shards kept for the next run", "shards", [one.kept for one in killed]),
        row(
            case.replace(f"kill -9 of {stage.name}", f"{stage.name} after a kill"),
            "same hashes as undisturbed",
            "share",
            [float(equal) for equal in same],
        ),
    ]
    print(f"wrote {write_results(result, rows)}")
    return 0 if all(same) and not any(wrong) and not any(one.left for one in killed) else 1


if __name__ == "__main__":
    sys.exit(main())
