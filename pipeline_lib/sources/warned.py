"""Refuse what is in doubt; where params.yaml states a reading, warn once and not every night."""

from __future__ import annotations

import logging
from pathlib import Path

from pipeline_lib.files.atomic import write_text
from pipeline_lib.sources.source_doubt import SourceDoubt

log = logging.getLogger(__name__)


def refuse_or_warn_once(doubt: SourceDoubt | None, folder: Path, *, stage: str) -> None:
    """Log a warning of a doubt, unless the last warning about this source in this stage was about the same doubt.

    Raises ConfigError where params.yaml leaves the reading open: classes that were guessed would cost a training.
    folder: where the last ones are kept, below the state folder. Without them the warning comes again, no more.
    """
    if doubt is None:
        return
    if doubt.undecided is not None:
        raise doubt.undecided
    path = folder / f"{stage}-{doubt.source}.txt"
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") == doubt.identity:
        return
    log.warning("%s", doubt.text)
    write_text(path, doubt.identity)
