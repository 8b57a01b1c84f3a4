"""Make a git and DVC repository whose line is the real dvc.yaml with toy commands."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline_lib.code_fingerprints import FINGERPRINT

ROOT = Path(__file__).parents[1]
IGNORED = ".perennial/\n/line/**\n!/line/**/\n!/line/curate/curation.json\n!/line/evaluate/metrics.json\n__pycache__/\n"


def make_toy_repository(folder: Path) -> Path:
    """A committed repository in an empty folder; returns the folder."""
    yaml = YAML()
    line: Any = yaml.load(ROOT / "dvc.yaml")
    for name, stage in line["stages"].items():
        stage["cmd"] = f"python toy_stage.py {name}"
        stage["deps"] = [dep for dep in stage.get("deps", []) if FINGERPRINT not in dep]
        stage["outs"] = [out for out in stage.get("outs", []) if FINGERPRINT not in out]
    (folder / "curation").mkdir(parents=True)
    with (folder / "dvc.yaml").open("w") as file:
        yaml.dump(line, file)
    shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
    for name in ("overrides.csv", "classes.csv", "groups.csv"):
        shutil.copy(ROOT / "curation" / name, folder / "curation" / name)
    shutil.copy(Path(__file__).with_name("toy_stage.py"), folder / "toy_stage.py")
    nightly, in_twelve_hours = (
        "0 2 * * *",
        f"0 {(datetime.now(UTC).hour + 12) % 24} * * *",
    )  # not while tests run
    deployments = (ROOT / "prefect.yaml").read_text()
    assert nightly in deployments
    (folder / "prefect.yaml").write_text(deployments.replace(nightly, in_twelve_hours))
    (folder / "flows").symlink_to(ROOT / "flows")
    (folder / ".gitignore").write_text(IGNORED)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text(
        "[core]\n    analytics = false\n[cache]\n    type = hardlink,copy\n"
    )
    (folder / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    who = ["-c", "user.name=toy", "-c", "user.email=toy@localhost"]
    subprocess.run(["git", *who, "commit", "-q", "-m", "toy"], cwd=folder, check=True)
    return folder
