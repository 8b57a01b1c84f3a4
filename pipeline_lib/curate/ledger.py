"""The balance of the data (every file found is kept, quarantined or removed) and the limits it must keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_lib.curate.params import CurateParams
from pipeline_lib.errors import DataCheckFailed

NAMED = 10  # examples in a message
NO_CLASS = "(none)"
SUMS = {"keep": "kept", "quarantine": "quarantined", "remove": "removed"}


def ledger(manifest: pd.DataFrame) -> dict[str, Any]:
    """discovered, kept, quarantined, removed: in all and by source, balanced in each class too.

    By class they stand in the report, which counts them in the manifest: thousands of classes are no metrics.
    """
    received = manifest["label_received"].fillna(NO_CLASS)
    by_class = [_balance(part) for _, part in manifest.groupby(received)]
    assert sum(part["discovered"] for part in by_class) == len(manifest)
    return {
        **_balance(manifest),
        "by_source": {str(name): _balance(part) for name, part in manifest.groupby("source", sort=True)},
    }


def check_limits(manifest: pd.DataFrame, leaks: pd.Series, params: CurateParams, file: Path) -> None:
    """Raise DataCheckFailed when too much was quarantined or training pictures are tied to evaluation.

    manifest: decision, reason, indexed by image_id. leaks: boolean by image_id.
    """
    quarantined = manifest[manifest["decision"] == "quarantine"]
    allowed = params.max_quarantine_rate * len(manifest)
    if len(quarantined) > allowed:
        what = f"{len(quarantined)} of {len(manifest)} pictures are quarantined, {allowed:.0f} are allowed"
        commonest = quarantined["reason"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
        worst = quarantined[quarantined["reason"] == commonest.index[0]].sort_index()
        counts = ", ".join(f"{reason}: {n}" for reason, n in commonest.items())
        remedy = "mend the source, or raise curate.max_quarantine_rate in params.yaml"
        raise DataCheckFailed(what, file=file, value=f"{counts}; {_examples(worst.index)}", remedy=remedy)
    leaking = leaks.index[leaks]
    if len(leaking) > params.max_leakage:
        what = f"{len(leaking)} training pictures are tied to val or test, {params.max_leakage} are allowed"
        remedy = "remove them in curation/overrides.csv, or raise curate.max_leakage in params.yaml"
        raise DataCheckFailed(what, file=file, value=_examples(leaking), remedy=remedy)


def _balance(part: pd.DataFrame) -> dict[str, int]:
    sums = {word: int((part["decision"] == decision).sum()) for decision, word in SUMS.items()}
    assert sum(sums.values()) == len(part), "a row is neither kept nor quarantined nor removed"
    return {"discovered": len(part), **sums}


def _examples(image_ids: pd.Index) -> str:
    more = f" and {len(image_ids) - NAMED} more" if len(image_ids) > NAMED else ""
    return ", ".join(image_ids[:NAMED]) + more
