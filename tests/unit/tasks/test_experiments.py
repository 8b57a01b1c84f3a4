"""`dvc exp run --queue`, as docs/operations.md says it: several parameters with DVC alone."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.git import git


def test_queued_experiments_train_side_by_side_leave_the_checkout_and_never_evaluate(
    origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(origin / ".dvc/tmp/site"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")

    def dvc(*arguments: str) -> str:
        command = [sys.executable, "-m", "dvc", *arguments]
        return subprocess.run(command, cwd=origin, capture_output=True, text=True, check=True, timeout=300).stdout

    dvc("exp", "run", "--queue", "-S", "train.epochs=1,2", "train")
    dvc("exp", "run", "--run-all")

    shown = list(csv.DictReader(io.StringIO(dvc("exp", "show", "--csv"))))
    experiments = {row["train.epochs"]: row for row in shown if row["State"]}
    assert {epochs: row["State"] for epochs, row in experiments.items()} == {"1": "Success", "2": "Success"}
    locks = [git(origin, "show", f"{row['rev']}:dvc.lock") for row in experiments.values()]
    assert len(set(locks)) == 2
    assert all("  train:" in lock and "  evaluate:" not in lock for lock in locks)
    assert git(origin, "status", "--porcelain") == ""
