"""Measure which lines the unit tests and contracts run; CPU of a quarter of an hour (`make coverage`).

Only lines run in the process of the tests itself count: what workers, stages and servers run in theirs does not, and
the pipeline and service tests are left out. So the figures are lower bounds.

coverage is no dependency: it is fetched by uv into build/coverage, at the version below.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.support.results_file import Row, row, write_results

ROOT = Path(__file__).parents[2]
TOOL, TOOL_FOLDER = "coverage==7.17.5", ROOT / "build/coverage"
PACKAGES = ("flows", "tasks", "pipeline_lib", "demo")
TESTS = ("tests/unit", "tests/contracts")
REPORT = TOOL_FOLDER / "report.json"


def measure() -> str:
    """Run the tests under coverage, write REPORT, and return what pytest said last."""
    subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", "-q", "--target", TOOL_FOLDER, TOOL],
        check=True,
    )
    places = {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{TOOL_FOLDER}",
        "COVERAGE_FILE": str(TOOL_FOLDER / "data"),
    }
    environment = {**os.environ, **places, "OMP_NUM_THREADS": "1"}
    coverage = [sys.executable, "-m", "coverage"]
    tests = [*coverage, "run", f"--source={','.join(PACKAGES)}", "-m", "pytest", "-q", *TESTS]
    said = subprocess.run(
        tests, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    sys.stdout.write(said.stdout)
    subprocess.run([*coverage, "json", "-q", "-o", REPORT], cwd=ROOT, env=environment, check=True)
    return said.stdout.strip().rpartition("\n")[2]


def rows_of(report: dict[str, Any], last_line: str) -> list[Row]:
    """The share of lines that were run, in each package and in all; and how many tests ran."""
    run, there = Counter[str](), Counter[str]()
    for file, found in report["files"].items():
        for package in (file.partition("/")[0], "all"):
            run[package] += found["summary"]["covered_lines"]
            there[package] += found["summary"]["num_statements"]
    shares = [
        row(name, "lines run", "%", [round(100 * run[name] / there[name], 1)])
        for name in (*PACKAGES, "all")
    ]
    lines = [row(name, "lines", "count", [there[name]]) for name in (*PACKAGES, "all")]
    counts = {what: int(n) for n, what in re.findall(r"(\d+) (passed|failed|skipped)", last_line)}
    return shares + lines + [row("tests", what, "count", [n]) for what, n in counts.items()]


def write(rows: list[Row], *, commit: str) -> Path:
    """Write the result file, with the day and the commit: the figures are those of one state of the code."""
    path = write_results("coverage", rows)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["measured"] = {"date": datetime.now(UTC).date().isoformat(), "commit": commit}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def main() -> None:
    """Measure and write."""
    head = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(
        head, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True
    ).stdout.strip()
    last_line = measure()
    rows = rows_of(json.loads(REPORT.read_text(encoding="utf-8")), last_line)
    print(write(rows, commit=commit))


if __name__ == "__main__":
    main()
