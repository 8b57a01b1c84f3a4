"""`perennial join`: add this machine to a training that runs on another one."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

HELP = (
    "join the training of the first node (setting train_nodes) from another machine; write no files"
)
EPILOG = (
    "Run it in a checkout of the same commit with the same params.yaml, after `dvc pull`, or in the first node's own "
    "folder if the machines share it. Set train_rendezvous to the first node's host:port. The command waits for the "
    "first node, runs its share of train.processes, and ends with the training."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial join`: none."""


def run(options: argparse.Namespace) -> int:
    """Train until the first node is done. Raises the error that ended the training."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the stage harness does
    from flows.cli.project import find_project
    from pipeline_lib.harness.line import read_line
    from pipeline_lib.harness.stage import StageRun
    from pipeline_lib.params_file import load_section
    from pipeline_lib.settings import load_settings
    from pipeline_lib.train.params import TrainParams
    from pipeline_lib.train.rendezvous import WAIT_S
    from pipeline_lib.train.run import join

    checkout = find_project(Path.cwd())
    files = read_line(checkout).stage_files("train")
    params = load_section(checkout / "params.yaml", "train", TrainParams)
    settings = load_settings(checkout)

    # Ten minutes of silence look like a fault; then the node says what the stage says.
    print(
        f"waiting at {settings.train_rendezvous} for the first node, {WAIT_S / 60:g} minutes at most",
        file=sys.stderr,
    )
    logging.getLogger("pipeline_lib.train").setLevel(logging.INFO)
    join(StageRun(checkout, files.reads, files.writes, params, settings))
    return 0
