"""A new user's first hour: a fresh clone, then the README's two commands, timed.

    python -m benchmarks.whole.first_run [--photographs ARCHIVE]

Clones HEAD into a temporary folder, runs `make setup`, `make demo` twice and, last, `make test`, and measures each, and the
disk they leave. Where the tests fail, the result file has all rows but theirs. Packages come from uv's cache where it has
them: a first download adds what the connection takes.
--photographs: a tar of photographs (`.../<class>/<name>`); 400 of them are drawn by hash, and the clone's commands label one,
survey them, train a first model on frozen features, and run the whole line. Writes benchmarks/results/first_run.json.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.support.results_file import Row, row, write_results

ROOT = Path(__file__).parents[2]
STEPS = (
    ("make setup", "setup"),
    ("make demo", "demo"),
    ("make demo, again", "demo"),
)
TESTS = ("make test", "test")
FOLDERS = (".venv", "line", ".dvc/cache", ".perennial")
N_PHOTOGRAPHS = 400


def timed(case: str, command: Sequence[str], clone: Path) -> list[Row]:
    """Run one command; wall and CPU seconds. Raises CalledProcessError when it fails."""
    before, clock = os.times(), time.monotonic()
    tools = f"{clone / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, cwd=clone, check=True, env={**os.environ, "PATH": tools})
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


def take_photographs(archive: Path, folder: Path) -> Path:
    """Write N_PHOTOGRAPHS of a tar into folders of their classes; returns the first one."""
    with tarfile.open(archive) as tar:
        files = [one for one in tar.getmembers() if one.isfile()]
        files.sort(key=lambda one: hashlib.sha256(one.name.encode()).digest())
        for number, one in enumerate(files[:N_PHOTOGRAPHS]):
            data = tar.extractfile(one)
            assert data is not None
            path = folder / Path(one.name).parent.name / f"{number}{Path(one.name).suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.read())
    return min(folder.glob("*/0.*"))


def with_photographs(archive: Path, clone: Path) -> list[Row]:
    """Time a label, a survey, a first model and the whole line."""
    folder = clone.with_name("photographs")
    first = take_photographs(archive, folder)
    what = f"of {N_PHOTOGRAPHS} photographs"
    steps = (
        ("perennial predict --model builtin", ("predict", "--model", "builtin", str(first))),
        (f"perennial init, {what}", ("init", str(folder), "--force")),
        (f"perennial run --set train.epochs=0, {what}", ("run", "--set", "train.epochs=0")),
    )
    rows = [row for case, words in steps for row in timed(case, ("perennial", *words), clone)]
    return rows + timed(f"dvc repro, {what}", ("dvc", "repro"), clone)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.whole.first_run", description=__doc__
    )
    parser.add_argument(
        "--photographs", type=Path, help="a tar of photographs in folders of classes"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary) / "perennial"
        subprocess.run(["git", "clone", "--quiet", "--no-tags", str(ROOT), str(clone)], check=True)
        rows = [row for case, target in STEPS for row in timed(case, ("make", target), clone)]
        rows += disk_mb(FOLDERS, clone)
        if options.photographs:
            rows += with_photographs(options.photographs, clone)
            # The tests are those of the tree as it was cloned: `init` has written the photographs' parameters.
            subprocess.run(["git", "checkout", "--quiet", "--", "."], cwd=clone, check=True)
        print(f"wrote {write_results('first_run', rows)}, without the tests so far")
        case, target = TESTS
        rows += timed(case, ("make", target), clone)
    print(f"wrote {write_results('first_run', rows)}")


if __name__ == "__main__":
    main()
