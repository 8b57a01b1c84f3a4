"""1,000 damaged betons through each loader: what is refused, named, or shown.

    python -m benchmarks.robustness.corruption [--cases 1000] [--ffcv-cases 120] [--seed 0]

Flipped bits, cuts and zeros in stored JPEGs, flipped bits in raw pixels and in the tables, cut files. The kinds of
damage take turns; how they are judged is in testing/loader_corruption.py. Writes benchmarks/results/corruption.json.
tests/unit/loader/test_corruption.py is the short version.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.support.results_file import Row, row, write_results
from testing.loader_corruption import BROKEN_PROMISES, HOW, Outcome, run_cases

FFCV = "ffcv"  # compiles anew for each beton it opens: seconds a case


def rows_of(kind: str, found: list[tuple[str, Outcome]]) -> list[Row]:
    """The number of cases of each outcome, by damage; broken promises also where there are none."""
    counts, promises = Counter(found), Counter(outcome for _, outcome in found)
    by_damage = [
        row(f"{kind}: {how}", outcome, "betons", [counts[how, outcome]])
        for how in HOW
        for outcome in Outcome
        if counts[how, outcome] and outcome not in BROKEN_PROMISES
    ]
    broken = [row(kind, outcome, "betons", [promises[outcome]]) for outcome in BROKEN_PROMISES]
    return [row(kind, "damaged betons", "betons", [len(found)]), *by_damage, *broken]


def main() -> int:
    """Command line; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.robustness.corruption", description=__doc__
    )
    parser.add_argument(
        "--cases", type=int, default=1000, help="for each of native and python (default 1000)"
    )
    parser.add_argument("--ffcv-cases", type=int, default=120, help="for ffcv (default 120)")
    parser.add_argument("--seed", type=int, default=0, help="of the damage (default 0)")
    options = parser.parse_args()
    rows, n_broken = [], 0
    for kind in ("native", "python", FFCV):
        count = options.ffcv_cases if kind == FFCV else options.cases
        with tempfile.TemporaryDirectory() as folder:
            found = run_cases(Path(folder), kind, count=count, seed=options.seed)
        rows += rows_of(kind, found)
        n_broken += sum(outcome in BROKEN_PROMISES for _, outcome in found)
        print(f"{kind}: {len(found)} damaged betons, {n_broken} broken promises so far", flush=True)
    print(f"wrote {write_results('corruption', rows)}")
    return int(n_broken > 0)


if __name__ == "__main__":
    sys.exit(main())
