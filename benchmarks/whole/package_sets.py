"""What each set of packages takes: its packages, the disk, the time to install.

    python -m benchmarks.whole.package_sets

Clones HEAD into a temporary folder and sets up there what scripts/set_up.sh knows, smallest first; the developers' set
comes on top of the line's, in the same environment. Packages come from the caches of pip and uv where they have them: a
first download adds what the connection takes. Writes benchmarks/results/package_sets.json.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.support.results_file import Row, row, write_results

ROOT = Path(__file__).parents[2]
SETS = (("predict", ".venv-predict"), ("line", ".venv"), ("developers", ".venv"))


def measured(name: str, environment: str, clone: Path) -> list[Row]:
    """Set one up. Raises CalledProcessError when it fails, or when a package lacks what it needs."""
    began = time.monotonic()
    subprocess.run(["scripts/set_up.sh", name], cwd=clone, check=True)
    wall_s = time.monotonic() - began
    subprocess.run([f"{environment}/bin/python", "-m", "pip", "check"], cwd=clone, check=True)
    lock = (clone / environment / "locked.txt").read_text(encoding="utf-8")
    n_packages = sum("==" in line for line in lock.splitlines())
    said = subprocess.run(
        ["du", "-sm", environment], cwd=clone, check=True, capture_output=True, encoding="utf-8"
    )
    return [
        row(name, "packages", "count", [n_packages]),
        row(name, "disk", "MB", [float(said.stdout.split()[0])]),
        row(name, "wall", "s", [round(wall_s, 1)]),
    ]


def main() -> None:
    """Command line."""
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary) / "perennial"
        subprocess.run(["git", "clone", "--quiet", "--no-tags", str(ROOT), str(clone)], check=True)
        rows = [row for name, environment in SETS for row in measured(name, environment, clone)]
    print(f"wrote {write_results('package_sets', rows)}")


if __name__ == "__main__":
    main()
