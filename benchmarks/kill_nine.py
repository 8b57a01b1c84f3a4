"""kill -9 of the stage and of dvc in every stage of the demo: who is left after five seconds, and what comes out then.

    python -m benchmarks.kill_nine [--rounds 1] [--seed 0]

Each kill hits at a random moment of its stage; after the last one the line must complete with the hashes it has when
nobody interferes. Writes benchmarks/results/kill_nine.json. tests/pipeline/test_kill.py is the short version.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from benchmarks.results_file import row, write_results
from pipeline_lib.line import STAGES
from tests.pipeline.checkout import Checkout, throw_away_checkout
from tests.pipeline.kill import Killed, kill_during

VICTIMS: tuple[Literal["stage"], Literal["dvc"]] = ("stage", "dvc")
START_S = 0.5  # a stage's own imports, before its clock starts


def run_round(checkout: Checkout, durations_s: Mapping[str, float], rng: random.Random) -> list[Killed]:
    """From nothing: kill each stage once by each victim, in the order of the line."""
    checkout.forget_results()
    killed = []
    for stage in STAGES:
        for victim in VICTIMS:
            moment = rng.uniform(0.1, START_S + 0.9 * durations_s[stage])
            killed.append(kill_during(checkout, stage, victim=victim, after_s=moment))
            print(f"{stage} at {moment:.1f} s, {victim} killed: {len(killed[-1].left)} left", flush=True)
    return killed


def stage_durations_s(checkout: Checkout) -> dict[str, float]:
    """Wall time of each stage's last run, from operations.jsonl."""
    entries = (checkout.folder / ".perennial/operations.jsonl").read_text().splitlines()
    return {entry["stage"]: float(entry["wall_s"]) for entry in map(json.loads, entries)}


def main() -> int:
    """Command line; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill_nine", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="each round kills every stage twice (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    options = parser.parse_args()
    rng, killed, same = random.Random(options.seed), [], []
    with tempfile.TemporaryDirectory() as temporary:
        checkout = throw_away_checkout(Path(temporary) / "line")
        checkout.python("demo.plant")
        checkout.repro()
        expected, durations_s = checkout.lock(), stage_durations_s(checkout)
        for _ in range(options.rounds):
            killed += run_round(checkout, durations_s, rng)
            checkout.repro()
            same.append(checkout.lock() == expected)
    hits = [one for one in killed if one.hit]
    rows = [
        row("kill -9", "seconds until nothing is left", "s", [one.ended_s for one in killed]),
        row("kill -9", "processes left after 5 s", "processes", [len(one.left) for one in killed]),
        row("kill -9", "hit a stage at work", "share", [len(hits) / len(killed)]),
        row("line after a round", "same dvc.lock as undisturbed", "share", [float(equal) for equal in same]),
    ]
    print(f"wrote {write_results('kill_nine', rows)}")
    return 0 if all(same) and not any(one.left for one in killed) else 1


if __name__ == "__main__":
    sys.exit(main())
