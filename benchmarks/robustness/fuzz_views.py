"""Fuzz the C decoder with clang's libFuzzer under AddressSanitizer and UndefinedBehaviorSanitizer.

    python -m benchmarks.robustness.fuzz_views [--seconds 600] [--seed 1]

What is looked for is in testing/fuzz_views.c: crashes, undefined behaviour, leaks, inputs that take longer
than 20 s, and pixels that differ from a plain decode. Writes benchmarks/results/fuzz_views.json; an input that fails is
left in the current folder (crash-..., leak-..., timeout-...), and is shown again by running the program on it.
tests/unit/native/test_views_sanitized.py is the short version, without clang.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.native import build
from testing.view_fuzzing import SANITIZED, compile_fuzzer, write_seeds

PACKAGES = "apt-get install clang libclang-rt-14-dev libjpeg62-turbo-dev"


@dataclass(frozen=True)
class Fuzzed:
    """What libFuzzer said on stderr, the CPU seconds it took, and whether an input failed (it stops at the first)."""

    said: str
    cpu_s: float
    failed: bool


def fuzz(folder: Path, *, seconds: int, seed: int) -> Fuzzed:
    """Run libFuzzer from the seeds; what it finds worth keeping is then in `folder`/corpus."""
    compile_fuzzer(folder / "fuzz_views", "-fsanitize=fuzzer", *SANITIZED, compiler="clang")
    write_seeds(folder / "corpus")
    limits = [f"-max_total_time={seconds}", f"-seed={seed}", "-timeout=20", "-max_len=20000"]
    before = os.times()
    command = [str(folder / "fuzz_views"), *limits, "-print_final_stats=1", str(folder / "corpus")]
    ended = subprocess.run(command, stderr=subprocess.PIPE, encoding="utf-8", check=False)
    after = os.times()
    cpu_s = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return Fuzzed(ended.stderr, cpu_s, ended.returncode != 0)


def lines_reached(folder: Path) -> dict[str, float]:
    """Source file of the decoder -> share of its lines that the corpus reaches, by gcov."""
    compile_fuzzer(folder / "covered", "--coverage", "-DREPLAY", compiler="gcc")
    corpus = sorted(map(str, (folder / "corpus").iterdir()))
    subprocess.run(
        [str(folder / "covered"), "0", "1", *corpus],
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    notes = sorted(map(str, folder.glob("*.gcda")))
    said = subprocess.run(
        ["gcov", "-n", *notes], check=True, cwd=folder, capture_output=True, encoding="utf-8"
    ).stdout
    found = re.findall(r"^File '.*/(\w+\.c)'\nLines executed:([\d.]+)%", said, re.MULTILINE)
    return {name: float(percent) / 100 for name, percent in found if name in build.SOURCES}


def rows_of(fuzzed: Fuzzed, lines: dict[str, float], *, case: str) -> list[Row]:
    """The figures of a run."""
    inputs = int(re.findall(r"stat::number_of_executed_units:\s+(\d+)", fuzzed.said)[-1])
    return [
        row(case, "inputs", "inputs", [inputs]),
        row(case, "cpu", "s", [round(fuzzed.cpu_s)]),
        row(case, "crashes, leaks, hangs and wrong pixels", "inputs", [int(fuzzed.failed)]),
        *(
            row(case, f"lines of {name} reached", "share", [round(share, 3)])
            for name, share in sorted(lines.items())
        ),
    ]


def main() -> int:
    """Command line; 1 when an input failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.robustness.fuzz_views", description=__doc__
    )
    parser.add_argument("--seconds", type=int, default=600, help="how long (default 600)")
    parser.add_argument("--seed", type=int, default=1, help="of libFuzzer (default 1)")
    options = parser.parse_args()
    if shutil.which("clang") is None:
        sys.exit(f"clang: not found. Remedy: {PACKAGES}")
    with tempfile.TemporaryDirectory() as temporary:
        fuzzed = fuzz(Path(temporary), seconds=options.seconds, seed=options.seed)
        if fuzzed.failed:
            print(fuzzed.said, file=sys.stderr)
        lines = {} if fuzzed.failed else lines_reached(Path(temporary))
    compiler = subprocess.run(
        ["clang", "-dumpversion"], capture_output=True, encoding="utf-8", check=True
    ).stdout.strip()
    rows = rows_of(fuzzed, lines, case=f"libFuzzer of clang {compiler}, AddressSanitizer and UBSan")
    print(f"wrote {write_results('fuzz_views', rows)}")
    return int(fuzzed.failed)


if __name__ == "__main__":
    sys.exit(main())
