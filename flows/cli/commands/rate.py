"""`perennial rate`: try learning rates and suggest one."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

HELP = "try learning rates on the line's images for up to 100 steps, and suggest one"
EPILOG = "Changes no file. All other parameters are taken from params.yaml."
LINES = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial rate`: none."""


def run(options: argparse.Namespace) -> int:
    """Print rates with their losses, and lines for params.yaml. Raises SourceMissing before the first run."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the stage harness does
    from flows.cli.project import find_project
    from pipeline_lib.errors import SourceMissing
    from pipeline_lib.harness.line import read_line
    from pipeline_lib.harness.stage import StageRun
    from pipeline_lib.params_file import load_section
    from pipeline_lib.settings import load_settings
    from pipeline_lib.train.params import TrainParams
    from pipeline_lib.train.rate_finder import find_rates, peak_rate

    checkout = find_project(Path.cwd())
    files = read_line(checkout).stage_files("train")
    absent = [path for path in files.reads.values() if not path.exists()]
    if absent:
        raise SourceMissing(
            "there are no images to train on yet",
            file=absent[0],
            remedy="run `dvc repro curate convert`",
        )
    params = load_section(checkout / "params.yaml", "train", TrainParams)
    tried = find_rates(
        StageRun(checkout, files.reads, files.writes, params, load_settings(checkout))
    )
    for found in tried[:: max(1, len(tried) // LINES)]:
        print(f"{found.rate:.2e}  loss {found.loss:.3f}")
    peak = peak_rate(tried)
    if peak is None:
        print(
            f"no rate is suggested: the loss hardly falls below that of the beginning, at any rate. Keep the present one:\n"
            f"train:\n  peak_learning_rate: {params.peak_learning_rate:g}  # as params.yaml or its recipe has it"
        )
    else:
        print(f"train:\n  peak_learning_rate: {peak:g}  # a tenth of the rate with the lowest loss")
    return 0
