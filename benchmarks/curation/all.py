"""All that docs/curation.md shows, measured anew: one benchmark after another, each in a process of its own.

    python -m benchmarks.curation.all [--cifar10 FOLDER]

--cifar10: the folder that benchmarks/curation/cifar10_labels.py describes, for the benchmarks on people's own mistakes.
Each writes its file in benchmarks/results/. Takes an hour on two cores; the manifest of 14.2 million rows needs 8 GB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

MADE = (
    "curation.screening",
    "robustness.kill_inspect",
    "curation.duplicates",
    "curation.label_issues",
    "curation.votes",
    "curation.active_learning",
    "curation.splits",
    "speed.manifest_scale",
)
ON_CIFAR10 = ("curation.cifar10_labels", "curation.cifar10_votes", "curation.cifar10_duplicates")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cifar10", metavar="FOLDER", help="CIFAR-10 with people's votes")
    options = parser.parse_args(arguments)
    commands = [[f"benchmarks.{name}"] for name in MADE]
    if options.cifar10:
        commands += [[f"benchmarks.{name}", options.cifar10] for name in ON_CIFAR10]
    failed = [
        command[0]
        for command in commands
        if subprocess.run([sys.executable, "-m", *command], check=False).returncode != 0
    ]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
