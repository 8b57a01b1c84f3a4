"""score.json: the figures of the last scorecard, flat, with the dvc.lock that they belong to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

FIGURES = "score.json"


def write_figures(figures: Mapping[str, float], folder: Path, *, lock: str) -> None:
    """Write every figure by its key, the digest of the dvc.lock and the gate's sentence."""
    content = {**figures, "dvc_lock_sha256": lock}
    (folder / FIGURES).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_figures(folder: Path) -> Mapping[str, float | str]:
    """What score.json holds; empty when there is none yet."""
    path = folder / FIGURES
    figures: dict[str, float | str] = (
        json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    )
    return figures


def lock_digest(root: Path) -> str:
    """sha256 of dvc.lock, which names every byte of the line; "" before the first run."""
    path = root / "dvc.lock"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
