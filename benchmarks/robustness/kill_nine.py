"""kill -9 of the stage and of dvc in every stage of the demo: who is left after five seconds, and what comes out then.

    python -m benchmarks.robustness.kill_nine [--rounds 1] [--seed 0]
    python -m benchmarks.robustness.kill_nine --stage curate --kills 20

Each kill hits at a random moment of its stage; after the last one the line must complete with the hashes it has when
nobody interferes. With --stage only that one is killed, again and again, and after each kill it must come out with the
same hashes; then it runs once more from scratch, which must give them too. Writes benchmarks/results/kill_nine.json, or
kill_<stage>.json. tests/pipeline/test_kill.py is the short version.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ruamel.yaml import YAML

from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.harness.line import STAGES
from testing.checkout import Checkout, throw_away_checkout
from testing.kill import Killed, kill_during

VICTIMS: tuple[Literal["stage"], Literal["dvc"]] = ("stage", "dvc")
START_S = 0.5  # a stage's own imports, before its clock starts


def run_round(
    checkout: Checkout, durations_s: Mapping[str, float], rng: random.Random
) -> list[Killed]:
    """From nothing: kill each stage once by each victim, in the order of the line."""
    checkout.forget_results()
    killed = []
    for stage in STAGES:
        for victim in VICTIMS:
            moment = rng.uniform(0.1, START_S + 0.9 * durations_s[stage])
            killed.append(kill_during(checkout, stage, victim=victim, after_s=moment))
            print(
                f"{stage} at {moment:.1f} s, {victim} killed: {len(killed[-1].left)} left",
                flush=True,
            )
    return killed


def kill_one_stage(
    checkout: Checkout, stage: str, *, kills: int, lasts_s: float, rng: random.Random
) -> list[Row]:
    """Kill one stage `kills` times, its outputs gone before each; compare what comes out after each kill."""
    outs = {
        path: md5
        for path, md5 in checkout.out_hashes().items()
        if path.startswith(f"line/{stage}/")
    }
    killed, same = [], []
    for number in range(kills + 1):
        for folder in (
            f"line/{stage}",
            ".dvc/cache/runs",
        ):  # or DVC would bring the outputs back without running it
            shutil.rmtree(checkout.folder / folder, ignore_errors=True)
        forget(checkout, stage)
        if number < kills:
            moment = rng.uniform(0.1, START_S + 0.9 * lasts_s)
            killed.append(kill_during(checkout, stage, victim=VICTIMS[number % 2], after_s=moment))
            print(
                f"{stage} at {moment:.1f} s, {killed[-1].victim} killed: {len(killed[-1].left)} left",
                flush=True,
            )
        checkout.repro(stage)
        found = checkout.out_hashes()
        same.append({path: found[path] for path in outs} == outs)
    case = f"row 16: kill -9 of {stage}"
    rows = figures(case, killed)
    return [
        *rows,
        row(case, "same hashes afterwards", "share", [float(equal) for equal in same[:-1]]),
        row(f"row 22: {stage} twice", "same hashes", "share", [float(same[-1])]),
    ]


def forget(checkout: Checkout, stage: str) -> None:
    """Take a stage out of dvc.lock."""
    path = checkout.folder / "dvc.lock"
    lock = read_yaml(path)
    del lock["stages"][stage]
    with path.open("w", encoding="utf-8") as file:
        YAML().dump(lock, file)


def figures(case: str, killed: list[Killed]) -> list[Row]:
    """What is counted of kills."""
    return [
        row(case, "seconds until nothing is left", "s", [one.ended_s for one in killed]),
        row(case, "processes left after 5 s", "processes", [len(one.left) for one in killed]),
        row(case, "hit a stage at work", "share", [sum(one.hit for one in killed) / len(killed)]),
    ]


def stage_durations_s(checkout: Checkout) -> dict[str, float]:
    """Wall time of each stage's last run, from operations.jsonl."""
    entries = (
        (checkout.folder / ".perennial/operations.jsonl").read_text(encoding="utf-8").splitlines()
    )
    return {entry["stage"]: float(entry["wall_s"]) for entry in map(json.loads, entries)}


def main() -> int:
    """Command line; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.robustness.kill_nine", description=__doc__
    )
    parser.add_argument(
        "--rounds", type=int, default=1, help="each round kills every stage twice (default 1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    parser.add_argument("--stage", choices=STAGES, help="kill this stage only")
    parser.add_argument(
        "--kills", type=int, default=20, help="how often, with --stage (default 20)"
    )
    options = parser.parse_args()
    rng, killed, same = random.Random(options.seed), [], []
    with tempfile.TemporaryDirectory() as temporary:
        checkout = throw_away_checkout(Path(temporary) / "line")
        checkout.python("demo.plant")
        checkout.repro()
        expected, durations_s = checkout.lock(), stage_durations_s(checkout)
        if options.stage:
            lasts_s = durations_s[options.stage]
            rows = kill_one_stage(
                checkout, options.stage, kills=options.kills, lasts_s=lasts_s, rng=rng
            )
            print(f"wrote {write_results(f'kill_{options.stage}', rows)}")
            return 0 if all(one.min == 1 for one in rows if one.metric.startswith("same")) else 1
        for _ in range(options.rounds):
            killed += run_round(checkout, durations_s, rng)
            checkout.repro()
            same.append(checkout.lock() == expected)
    rows = [
        *figures("kill -9", killed),
        row(
            "line after a round",
            "same dvc.lock as undisturbed",
            "share",
            [float(equal) for equal in same],
        ),
    ]
    print(f"wrote {write_results('kill_nine', rows)}")
    return 0 if all(same) and not any(one.left for one in killed) else 1


if __name__ == "__main__":
    sys.exit(main())
