"""What `dvc metrics show` and `dvc exp show` put before a reader, on this project's dvc.yaml."""

import json
import subprocess
import sys
from pathlib import Path

from testing.tiny_line import make_line


def dvc(checkout: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True).stdout


def test_dvc_shows_top1_on_test_first_and_no_counts_of_curation(tmp_path: Path) -> None:
    line = make_line(tmp_path / "checkout")
    for command in (
        ["add", "-A"],
        ["-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qm", "result"],
    ):
        subprocess.run(["git", *command], cwd=line.root, check=True, capture_output=True)
    line.path("validation").unlink()  # of the commit it is in DVC's cache

    experiments = dvc(line.root, "exp", "show", "--csv").splitlines()[0].split(",")
    of_commit = json.loads(dvc(line.root, "exp", "show", "--json"))[1]["data"]["metrics"]
    metrics = [
        name.strip()
        for name in dvc(line.root, "metrics", "show", "--md").splitlines()[0].split("|")[2:-1]
    ]

    scores = experiments[experiments.index("test.n") :]
    assert scores[:2] == ["test.n", "test.top1"]
    assert experiments.index("test.n") < experiments.index("val_loss")
    assert of_commit["line/train/validation.json"]["data"]["val_loss"] > 0
    assert metrics[:3] == ["epoch", "temperature", "test.accuracy_at_95"]  # DVC sorts by name
    assert len(metrics) < 60
    assert not any("curation.json" in path for path in of_commit)
