"""Run the C decoder's tests on an emulated ARM, and compare its pixels on three processors.

    apt-get install qemu-user-static
    python -m benchmarks.robustness.decoder_elsewhere

About five minutes. The decoder is compiled by gcc for aarch64 inside scripts/on_arm.sh, with Debian's libjpeg-turbo for
that processor, and tests/unit/native runs there as it is, sanitizers included. The library that this machine compiled
runs on an emulated x86-64 without AVX (Nehalem, 2008). testing/view_digests.py says which pixels are
compared.

Left out: the test in LEFT_OUT, leaks, speed, and real hardware. Writes benchmarks/results/decoder_elsewhere.json.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.support.results_file import Row, row, write_results

ROOT = Path(__file__).parents[2]
ON_ARM = (str(ROOT / "scripts" / "on_arm.sh"), "python3")
ON_OLD_X86 = ("qemu-x86_64-static", "-cpu", "Nehalem", sys.executable)
LEFT_OUT = "test_a_lack_of_memory_is_not_called_damage"  # qemu-user does not enforce RLIMIT_AS
OUTCOMES = ("passed", "failed", "skipped", "error")
# Chosen for the processor that is there, and not for the emulated one.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def run_tests() -> list[Row]:
    """How the tests of the decoder end on ARM."""
    command = [*ON_ARM, "-m", "pytest", "-q", "tests/unit/native", "-k", f"not {LEFT_OUT}"]
    said = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    counts = {
        word: int(n)
        for n, word in re.findall(r"(\d+) (passed|failed|skipped|error)", said.stdout[-300:])
    }
    if not counts or counts.get("failed") or counts.get("error"):
        print(said.stdout, said.stderr, file=sys.stderr)
    return [row("tests on aarch64", word, "tests", [counts.get(word, 0)]) for word in OUTCOMES]


def view_digests(*run_by: str) -> list[str]:
    """What testing/view_digests.py prints. Raises CalledProcessError."""
    command = [*run_by, "-m", "testing.view_digests"]
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    said = subprocess.run(
        command, stdout=subprocess.PIPE, encoding="utf-8", check=True, cwd=ROOT, env=environment
    )
    return said.stdout.splitlines()


def compare(lines: list[str], expected: list[str], *, case: str) -> list[Row]:
    """How many views there are, and how many of them are not this machine's."""
    different = sum(one != other for one, other in zip(lines, expected, strict=True))
    return [
        row(case, "views", "views", [len(lines)]),
        row(case, "views of other bytes", "views", [different]),
    ]


def main() -> int:
    """Command line; 1 when a test fails or a byte differs."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.robustness.decoder_elsewhere", description=__doc__
    ).parse_args()
    if shutil.which(ON_OLD_X86[0]) is None:
        sys.exit(f"{ON_OLD_X86[0]}: not found. Remedy: apt-get install qemu-user-static")
    here = view_digests(sys.executable)
    rows = [
        *run_tests(),
        *compare(view_digests(*ON_ARM), here, case="aarch64 beside this machine"),
        *compare(view_digests(*ON_OLD_X86), here, case="x86-64 without AVX beside this machine"),
    ]
    print(f"wrote {write_results('decoder_elsewhere', rows)}")
    figures = {(one.case, one.metric): one.median for one in rows}
    wrong = sum(
        n
        for (_, metric), n in figures.items()
        if metric in ("failed", "error", "views of other bytes")
    )
    return int(wrong > 0 or figures["tests on aarch64", "passed"] == 0)


if __name__ == "__main__":
    sys.exit(main())
