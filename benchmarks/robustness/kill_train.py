"""kill -9 of training at random moments, again and again: do the weights come out with the same bytes in the end?

    python -m benchmarks.robustness.kill_train [--kills 20] [--seed 0]

The planted digits, a network with dropout, a checkpoint after every step; by one process, and by two that train
together. Each kill hits the stage, or with two processes every second time one of them, which then begin again by
themselves. Each run goes on with what the killed one left, until one reaches its end: then its files are compared with
those of an undisturbed training, and the next one starts from nothing. Counted: kills that hit a training at work,
seconds until none of its processes is left, trainings that came to their end, and whether these wrote the same bytes.
Writes benchmarks/results/kill_train.json; tests/unit/train has the short versions.
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
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.support.results_file import Row, row, write_results
from testing.checkout import Checkout, throw_away_checkout
from testing.kill import working_in

OUTPUTS = ("weights/model.safetensors", "weights/model.json", "curves.csv")
LIMIT_S = 300.0
LOG = "stages.log"  # beside the checkout: what the stages said


@dataclass
class Tally:
    """hits: kills at work. gone_s: until no process was left, by kill of the stage. same: by finished training."""

    hits: int = 0
    gone_s: list[float] = field(default_factory=list)
    same: list[float] = field(default_factory=list)


def start(checkout: Checkout) -> subprocess.Popen[bytes]:
    """The stage, as dvc.yaml runs it, with a checkpoint after every step."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline_lib.stage", "train"],
        cwd=checkout.folder,
        env=checkout.environment(PERENNIAL_WORKERS="2", PERENNIAL_CHECKPOINT_EVERY_S="0"),
        stdout=subprocess.DEVNULL,
        stderr=(checkout.folder.parent / LOG).open("ab"),
        start_new_session=True,
    )


def wait_for_a_checkpoint(
    checkout: Checkout, stage: subprocess.Popen[bytes], *, since: float
) -> None:
    """Return when the stage has saved one after `since` (seconds since 1970), or has ended."""
    deadline = time.monotonic() + LIMIT_S
    while stage.poll() is None and time.monotonic() < deadline:
        files = checkout.folder.glob(".perennial/checkpoints/*/checkpoint.pt")
        if any(_changed(file) > since for file in files):
            return
        time.sleep(0.005)


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # the training is just done
        return 0.0


def come_to_its_end(checkout: Checkout, stage: subprocess.Popen[bytes]) -> None:
    """Wait for the stage, which must end well."""
    assert stage.wait(timeout=LIMIT_S) == 0, (checkout.folder.parent / LOG).read_text(
        encoding="utf-8"
    )[-2000:]


def finished(checkout: Checkout) -> str:
    """sha256 over the files that training wrote."""
    return hashlib.sha256(
        b"".join((checkout.folder / "line/train" / name).read_bytes() for name in OUTPUTS)
    ).hexdigest()


def members(stage: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The processes that train together: children of the server that forks them."""
    return [member for child in psutil.Process(stage.pid).children() for member in child.children()]


def kill_stage(checkout: Checkout, stage: subprocess.Popen[bytes]) -> float:
    """kill -9; returns after how many seconds no process was left."""
    os.kill(stage.pid, signal.SIGKILL)
    stage.wait()
    began = time.monotonic()
    while left := working_in(checkout.folder):
        assert time.monotonic() - began < LIMIT_S, left
        time.sleep(0.05)
    return time.monotonic() - began


def measure(checkout: Checkout, *, processes: int, kills: int, rng: random.Random) -> Tally:
    """Kill `kills` times, and let what is left come to its end."""
    checkout.set_param("train.processes", str(processes))
    tally, began = Tally(), time.time()
    stage = start(checkout)
    wait_for_a_checkpoint(checkout, stage, since=began)
    first = time.monotonic()
    come_to_its_end(checkout, stage)
    lasts_s, expected = time.monotonic() - first, finished(checkout)
    shutil.rmtree(checkout.folder / "line/train")
    while tally.hits < kills or not tally.same:
        began, stage = time.time(), start(checkout)
        wait_for_a_checkpoint(checkout, stage, since=began)
        if tally.hits < kills:
            time.sleep(rng.uniform(0, lasts_s / 2))
        victims = (
            members(stage) if processes > 1 and tally.hits % 2 and stage.poll() is None else []
        )
        if tally.hits < kills and stage.poll() is None:
            tally.hits += 1
            if victims:
                rng.choice(victims).kill()
            else:
                tally.gone_s.append(kill_stage(checkout, stage))
                print(
                    f"{processes}: kill {tally.hits} of the stage, gone in {tally.gone_s[-1]:.1f} s",
                    flush=True,
                )
                continue
        come_to_its_end(checkout, stage)
        tally.same.append(float(finished(checkout) == expected))
        print(
            f"{processes}: {'kill of one process; ' if victims else ''}the end, same: {tally.same[-1]}",
            flush=True,
        )
        shutil.rmtree(checkout.folder / "line/train")
    return tally


def rows(tally: Tally, *, processes: int) -> list[Row]:
    """The figures of one number of processes."""
    case = f"kill -9 of training, {processes} process{'es' if processes > 1 else ''}"
    return [
        row(case, "kills that hit it at work", "kills", [tally.hits]),
        row(case, "seconds until nothing is left", "s", tally.gone_s),
        row(case, "trainings that came to their end after kills", "trainings", [len(tally.same)]),
        row(case, "same bytes as undisturbed", "share", tally.same),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.robustness.kill_train", description=__doc__
    )
    parser.add_argument(
        "--kills", type=int, default=20, help="for each number of processes (default 20)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    options = parser.parse_args()
    tallies = {}
    with tempfile.TemporaryDirectory() as temporary:
        checkout = throw_away_checkout(Path(temporary) / "line")
        checkout.python("demo.plant")
        for name, value in (("network", "small_cnn"), ("epochs", "3"), ("threads", "1")):
            checkout.set_param(f"train.{name}", value)
        checkout.repro("curate", "convert")
        for processes in (1, 2):
            rng = random.Random(options.seed)
            tallies[processes] = measure(
                checkout, processes=processes, kills=options.kills, rng=rng
            )
    result = [
        one for processes, tally in tallies.items() for one in rows(tally, processes=processes)
    ]
    print(f"wrote {write_results('kill_train', result)}")
    return 0 if all(all(tally.same) for tally in tallies.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
