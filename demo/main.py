"""`make demo`: plant the digits, bring the line up to date, print the scorecard; again, and nothing has changed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from demo.plant_list import FOLDER, is_planted
from demo.score_file import FIGURES, lock_digest, read_figures
from demo.verdict import read_judged


def main() -> int:
    """Run the demo in the current checkout; returns the exit code."""
    root, began = Path.cwd(), time.monotonic()
    if not is_planted(FOLDER):
        from demo.plant import plant

        plants = plant(FOLDER, seed=0)
        print(
            f"planted {len(plants.plants)} faults among {len(plants.true_labels)} images in {FOLDER}/digits.tar"
        )
    failed = bring_up_to_date(root)
    if failed:
        return failed
    scored = read_figures(FOLDER)
    if scored.get("dvc_lock_sha256") == lock_digest(root):
        print(
            f"\nNothing changed: the same images, parameters and model ({time.monotonic() - began:.1f} s)."
        )
        print(
            f"  top-1 on test {float(scored['top1_true']):.2%} on true labels; gate: {read_judged(root).sentence}"
        )
        print(
            f"  the full scorecard is in {FOLDER / FIGURES}; `python -m demo.score` prints it again"
        )
        return 0
    from demo.score import main as print_score

    exit_code = print_score()
    print(f"\n{time.monotonic() - began:.0f} s in all.")
    return exit_code


def bring_up_to_date(root: Path) -> int:
    """Run `dvc repro` with this Python first on the path; returns its exit code (255 when a stage failed)."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    return subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=root, env=environment, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
