"""kill -9 of inspect at random moments, again and again: do its tables come out with the same hashes in the end?

    python -m benchmarks.robustness.kill_inspect [--kills 20] [--seed 0] [--count 2048]

As benchmarks/robustness/kill_convert.py, for the stage before it (row 16 of issue 5). A killed worker does not end this
stage: its shard is tried again. Writes benchmarks/results/kill_inspect.json; tests/pipeline/test_kill.py is the short
version.
"""

from __future__ import annotations

import sys

from benchmarks.robustness.kill_convert import DOWNLOADED, Stage, measure

OUTPUTS = ("images.parquet", "features/*", "pixel_rules.json")
INSPECT = Stage("inspect", DOWNLOADED, tuple(f"line/inspect/{name}" for name in OUTPUTS))

if __name__ == "__main__":
    sys.exit(
        measure(INSPECT, "kill_inspect", case="row 16: kill -9 of inspect", description=__doc__)
    )
