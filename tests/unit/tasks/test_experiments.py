"""`dvc exp run --queue`, as docs/operations.md says it: several parameters with DVC alone."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.git import git


def test_experiments_are_queued_by_a_grid_and_one_ends_before_evaluate_and_trains_for_the_line(
    origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue's own worker is DVC's: it runs what `--temp` runs, and takes half a minute to start and to end."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(origin / ".dvc/tmp/site"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")

    def dvc(*arguments: str) -> str:
        command = [sys.executable, "-m", "dvc", *arguments]
        return subprocess.run(
            command, cwd=origin, capture_output=True, text=True, check=True, timeout=300
        ).stdout

    dvc("exp", "run", "--queue", "-S", "++train.epochs=1,2", "train")
    dvc("exp", "run", "--temp", "--name", "three", "-S", "train.epochs=3", "train")

    shown = list(csv.DictReader(io.StringIO(dvc("exp", "show", "--csv"))))
    states = {
        row["train.epochs"]: row["State"]
        for row in shown
        if row["State"] or row["Experiment"] == "three"
    }
    assert states == {"1": "Queued", "2": "Queued", "3": ""}
    (three,) = [row for row in shown if row["Experiment"] == "three"]
    assert (float(three["val_loss"]), three["val_top1"]) == (pytest.approx(1 / 3), "0.75")
    lock = git(origin, "show", f"{three['rev']}:dvc.lock")
    assert "epochs: 3" in lock and "  train:" in lock and "  evaluate:" not in lock
    assert git(origin, "status", "--porcelain") == ""

    assert "Stage 'train' is cached" in dvc("exp", "run", "-S", "train.epochs=3")
    assert "  evaluate:" in (origin / "dvc.lock").read_text()
