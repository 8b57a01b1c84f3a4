"""`perennial join`: a further machine for a training that runs on another one."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

HELP = "take part in a training of the first node, as the setting train_nodes asks for; write nothing"
EPILOG = (
    "Run it in a checkout of the same commit with the same params.yaml, after `dvc pull`, or in the first node's own "
    "folder where machines share it. Settings: train_rendezvous, the first node's host:port. It waits for the first "
    "node, takes its share of train.processes, and ends with it."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial join`: none."""


def run(options: argparse.Namespace) -> int:
    """Train until the first node is done. Raises what ended it."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the stage harness does
    from flows.cli.project import find_project
    from pipeline_lib.harness.line import read_line
    from pipeline_lib.harness.stage import StageRun
    from pipeline_lib.params_file import load_section
    from pipeline_lib.settings import load_settings
    from pipeline_lib.train.params import TrainParams
    from pipeline_lib.train.run import join

    checkout = find_project(Path.cwd())
    files = read_line(checkout).stage_files("train")
    params = load_section(checkout / "params.yaml", "train", TrainParams)
    join(StageRun(checkout, files.reads, files.writes, params, load_settings(checkout)))
    return 0
