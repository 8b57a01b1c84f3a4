"""What the registry says of the model of the finished line, and where its report lies."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.harness.line import read_line
from pipeline_lib.registry import load_registry, outcome_of
from pipeline_lib.registry.records import MODEL
from pipeline_lib.settings import load_settings

LATEST_REPORT = "reports/latest/report.html"  # below the state folder


@dataclass(frozen=True)
class Judged:
    """One sentence, as true as the registry is now, and the report's address."""

    sentence: str
    report: str


def read_judged(root: Path) -> Judged:
    """What became of this line's exported model."""
    settings = load_settings(root)
    registry = load_registry(settings, root)
    attempts = [
        attempt for attempt in registry.attempts() if attempt.tags.get(MODEL) == _model_md5(root)
    ]
    sentence = "no verdict on this model is recorded"
    if attempts:
        sentence = outcome_of(attempts[-1], registry.versions(), is_new=True).sentence
    report = settings.state_folder(root) / LATEST_REPORT
    return Judged(
        sentence, os.path.relpath(report, root) if report.exists() else "none was written"
    )


def _model_md5(root: Path) -> str:
    """DVC's md5 of the export folder, from dvc.lock."""
    export = read_line(root).path("export").relative_to(root).as_posix()
    outs = read_yaml(root / "dvc.lock")["stages"]["evaluate"]["outs"]
    return str(next(out["md5"] for out in outs if out["path"] == export))
