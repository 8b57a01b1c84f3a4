"""Grade the finished line against the plant list: what it found, what it missed, and what to do next.

    python -m demo.score [--without-votes] [--check]

Writes the figures as flat JSON to demo/out/score.json. Without a line it says so and leaves with a documented code.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from demo.plant_list import FOLDER
from demo.score_file import lock_digest, write_figures
from demo.scorecard import card, disk_lines, grade_line
from demo.targets import missed
from demo.verdict import Judged, read_judged
from pipeline_lib.errors import DataCheckFailed, PipelineError

NEXT = (
    "open the report in a browser",
    "teach it your own images:  perennial init PATH-or-s3://bucket/prefix",
    "name one image's five best labels:  perennial predict IMAGE",
)


def score(root: Path, folder: Path, *, without_votes: bool) -> dict[str, float]:
    """Print the scorecard of the line below `root`, write score.json, and return its figures. Raises PipelineError."""
    graded = grade_line(root, folder, without_votes=without_votes)
    judged = read_judged(root)
    figures = {grade.key: grade.value for grade in graded}
    write_figures(figures, folder, lock=lock_digest(root))
    print("\nScorecard (planted faults against what the line decided)", *card(graded), sep="\n")
    print_closing(judged, root)
    return figures


def print_closing(judged: Judged, root: Path) -> None:
    """What the gate made of the model, where the report lies, where the disk went, what to do next."""
    print(
        "\nGate",
        f"  {judged.sentence}",
        "Report",
        f"  {judged.report}",
        "Disk",
        *disk_lines(root),
        sep="\n",
    )
    print("Next", *(f"  {step}" for step in NEXT), sep="\n")


def check(figures: dict[str, float]) -> None:
    """Raise DataCheckFailed naming every target that was missed."""
    phrases = missed(figures)
    if phrases:
        remedy = "look at the report's ledger and label issues; demo/targets.py holds the bounds"
        raise DataCheckFailed(
            "the demo missed its targets",
            file=FOLDER / "score.json",
            value="; ".join(phrases),
            remedy=remedy,
        )


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo.score", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where the plant list lies (default demo/out)"
    )
    parser.add_argument(
        "--without-votes",
        action="store_true",
        help="curate once more as if nobody had voted, and grade that too",
    )
    parser.add_argument(
        "--check", action="store_true", help="leave with exit code 4 when a target is missed"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        figures = score(Path.cwd(), options.folder, without_votes=options.without_votes)
        if options.check:
            check(figures)
    except PipelineError as error:
        sys.stderr.write(f"score: error[{error.code}]: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
