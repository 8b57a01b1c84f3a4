"""Give DVC's run-cache the entries that runs with today's code would have left, beside those of an older release.

An entry is what dvc.lock held of one stage, kept below the hash of what went in. Without this, results of parameters
that were tried before an upgrade would be worked again when somebody comes back to them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dvc.utils import dict_sha256
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline_lib.files.atomic import write_text
from pipeline_lib.harness.line import STAGES
from tasks.line_upgrade import as_dvc_writes

NOT_HASHED = ["size", "nfiles"]


def upgrade_run_cache(caches: Sequence[Path], carry_over: Callable[[str, Any], bool]) -> int:
    """Add the entries of today's code; returns how many. caches: DVC's cache folders.

    carry_over: is given a stage and an entry, which it changes in place to one of today; False where it cannot.
    """
    files = [file for cache in caches for file in (cache / "runs").glob("*/*/*") if file.is_file()]
    return sum(_add(file, carry_over) for file in files)


def _add(file: Path, carry_over: Callable[[str, Any], bool]) -> bool:
    """Add the entry that follows from one. Of several below one key DVC takes the newest: the time goes with it."""
    try:
        entry = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError):
        return False  # DVC warns of it and removes it when it comes to it
    if not isinstance(entry, dict):
        return False
    stage = next((word for word in str(entry.get("cmd", "")).split() if word in STAGES), None)
    if stage is None or not carry_over(stage, entry):
        return False
    value = dict_sha256(entry, exclude=NOT_HASHED)
    key = dict_sha256({**entry, "outs": [out["path"] for out in entry["outs"]]}, exclude=NOT_HASHED)
    target = file.parents[2] / key[:2] / key / value
    if target.exists():
        return False
    write_text(target, as_dvc_writes(entry))
    made = file.stat().st_mtime
    os.utime(target, (made, made))
    return True
