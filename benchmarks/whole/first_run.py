"""A new user's first hour: a fresh clone, then the README's two commands, timed.

    python -m benchmarks.whole.first_run

Clones HEAD into a temporary folder, runs `make setup`, `make demo` twice and `make test`, and measures each, and the
disk they leave. Packages come from uv's cache where it has them: a first download adds what the connection takes.
Writes benchmarks/results/first_run.json.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.support.results_file import Row, row, write_results

ROOT = Path(__file__).parents[2]
STEPS = (
    ("make setup", "setup"),
    ("make demo", "demo"),
    ("make demo, again", "demo"),
    ("make test", "test"),
)
FOLDERS = (".venv", "line", ".dvc/cache", ".perennial")


def timed(case: str, target: str, clone: Path) -> list[Row]:
    """Run one make target; wall and CPU seconds. Raises CalledProcessError when it fails."""
    before, clock = os.times(), time.monotonic()
    subprocess.run(["make", target], cwd=clone, check=True)
    after = os.times()
    cpu_s = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return [
        row(case, "wall", "s", [round(time.monotonic() - clock, 1)]),
        row(case, "cpu", "s", [round(cpu_s, 1)]),
    ]


def disk_mb(folders: tuple[str, ...], clone: Path) -> list[Row]:
    """What each folder takes; bytes that several share through links count for the first."""
    said = subprocess.run(
        ["du", "-sm", *folders], cwd=clone, check=True, capture_output=True, encoding="utf-8"
    ).stdout
    sizes = (line.split("\t") for line in said.splitlines())
    return [row("disk", folder, "MB", [float(size)]) for size, folder in sizes]


def main() -> None:
    """Command line."""
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary) / "perennial"
        subprocess.run(["git", "clone", "--quiet", "--no-tags", str(ROOT), str(clone)], check=True)
        rows = [row for case, target in STEPS[:3] for row in timed(case, target, clone)]
        rows += disk_mb(FOLDERS, clone)
        rows += timed(*STEPS[3], clone)
    print(f"wrote {write_results('first_run', rows)}")


if __name__ == "__main__":
    main()
