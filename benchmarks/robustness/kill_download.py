"""kill -9 of downloads from S3 through a proxy that breaks answers: do the tables of an undisturbed run come out?

    python -m benchmarks.robustness.kill_download [--kills 20] [--images 400] [--seed 0]

moto's server behind the tests' flaky proxy, which cuts, drops, delays or refuses a tenth of the requests; each kill comes
after a random number of requests. In the end tables and shards are compared byte for byte with those of a run without proxy
and kills. Then one archive, of which the first run is killed in the middle: how much does the second one move? Writes
benchmarks/results/kill_download.json. tests/service/test_kill_download.py kills three times.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from benchmarks.support.results_file import row, write_results
from pipeline_lib.sources.arriving import PIECE_BYTES
from testing.killed_download import download_once, kill_amid_an_archive, kill_downloads, served
from tests.support.flaky_proxy import FlakyProxy, at_random

BROKEN_SHARE = 0.1


def main() -> int:
    """Command line; 1 when other bytes came out, or a table without its shards was there."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.robustness.kill_download", description=__doc__
    )
    parser.add_argument("--kills", type=int, default=20, help="how often (default 20)")
    parser.add_argument("--images", type=int, default=400, help="loose ones (default 400)")
    parser.add_argument("--seed", type=int, default=0, help="of moments and faults (default 0)")
    parser.add_argument(
        "--archive-mib", type=int, default=1024, help="size of the one archive (default 1024)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with served(folder, options.images) as url:
            undisturbed = download_once(folder / "undisturbed", url).bytes_by_file()
            with FlakyProxy(url, at_random(options.seed, share=BROKEN_SHARE)) as proxy:
                done = kill_downloads(
                    folder / "killed", proxy, kills=options.kills, rng=random.Random(options.seed)
                )
        is_same = done.taken.bytes_by_file() == undisturbed
        (folder / "large").mkdir()
        large_bytes = options.archive_mib << 20
        with (
            served(folder / "large", 0, large_bytes=large_bytes) as url,
            FlakyProxy(url, lambda _: None) as proxy,
        ):
            half = large_bytes // PIECE_BYTES // 2
            resumed = kill_amid_an_archive(folder / "amid", proxy, after_pieces=half)
    case = "kill -9 of download"
    rows = [
        row(case, "killed at work", "runs", [done.killed]),
        row(case, "ended before the kill", "runs", [done.ended]),
        row(case, "gave up by the proxy's faults", "runs", [done.failed]),
        row(case, "tables without their shards", "runs", [done.half_written]),
        row(case, "same tables and shards as undisturbed", "share", [float(is_same)]),
    ]
    missing_bytes = resumed.whole_bytes - resumed.there_bytes
    amid = f"kill -9 amid an archive of {options.archive_mib} MiB"
    rows += [
        row(amid, "there at the kill", "MB", [resumed.there_bytes / 1e6]),
        row(amid, "missing", "MB", [missing_bytes / 1e6]),
        row(amid, "moved by the second run", "MB", [resumed.moved_bytes / 1e6]),
    ]
    print(f"wrote {write_results('kill_download', rows, also=('boto3', 'obstore', 'moto'))}")
    return 0 if is_same and not done.half_written else 1


if __name__ == "__main__":
    sys.exit(main())
