"""Statistics of the curated data: curation.json, balance.csv and profile.json, the same for the same data.

curation.json holds counts and shares. balance.csv accounts for every file found: kept, quarantined or removed, by class
and split. profile.json holds the kept images in a few histograms and class counts, small enough to be compared with
those of any later version: `register` compares the profile with that of the version before
(pipeline_lib/report/drift.py), and finds the champion's classes among today's by the renames and merges in `became`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline_lib.curate.decisions import Decisions
from pipeline_lib.curate.label_issues import LabelIssues
from pipeline_lib.reasons import Reason, Remark
from pipeline_lib.tables.manifest import SPLITS

DIGITS = 6
SUMS = {"keep": "kept", "quarantine": "quarantined", "remove": "removed"}
BALANCE_KEY = ["class_id", "split", "decision", "reason"]

# n + 1 edges of n bins, the last one closed; what lies outside counts in the first or the last bin. The bins are fixed,
# so that profiles of any two versions can be compared without their images; each file names its own edges.
EDGES = {
    "short_side_px": np.unique(np.round(2 ** np.arange(4, 13.5, 0.5))),  # 16, 23, 32, ... 8,192
    "luminance_p50": np.arange(0, 257, 16),
    "entropy_bit": np.arange(0, 8.5, 0.5),
    "blur_ratio": np.arange(0, 1.05, 0.05).round(2),
}


def row_statistics(rows: pd.DataFrame, decided: Decisions, reasons: pd.Series) -> dict[str, Any]:
    """How often each primary reason, remark and split occurs. reasons: of all files, those of extra test sets too."""
    kept = rows.loc[decided.standing, "split"]
    remarks = {code.value: decided.count(code) for code in Remark}
    return {
        "reasons": counts(reasons.dropna()),
        "remarks": {name: n for name, n in remarks.items() if n},
        "splits": {split: int((kept == split).sum()) for split in SPLITS},
    }


def class_statistics(listed: tuple[str, ...], classes: pd.DataFrame) -> dict[str, int]:
    """listed: the classes an image might have had. absent: those of them that no kept image has."""
    n_train = classes["n_train"]
    absent = set(listed) - set(classes["class_id"])
    return {
        "kept": len(classes),
        "absent": len(absent),
        "train_min": int(n_train.min()),
        "train_max": int(n_train.max()),
    }


def issue_statistics(rows: pd.DataFrame, issues: LabelIssues) -> dict[str, float | str]:
    """How many labels were scored out of sample and doubted, the estimated share of wrong ones, and how good the
    predictors are: against the labels given, and against the right ones (estimated). unjudged: why none is doubted.
    """
    found: dict[str, float | str] = {
        "scored": int(rows["p_given"].notna().sum()),
        "auto": int((rows["label_issue"] == "auto").sum()),
        "review": int((rows["label_issue"] == "review").sum()),
        "estimated_noise_rate": issues.noise_rate,
        "out_of_fold_accuracy": issues.accuracy,
        "estimated_accuracy": issues.true_accuracy,
    }
    return {**found, "unjudged": issues.unjudged} if issues.unjudged else found


def duplicate_statistics(rows: pd.DataFrame, decided: Decisions) -> dict[str, int]:
    """Groups of copies, the images in them by kind, and those whose copies have another class."""
    return {
        "groups": int(rows["dup_group"].nunique()),
        "pictures": int(rows["dup_group"].notna().sum()),
        "bytes": int((rows["dup_kind"] == "bytes").sum()),
        "pixels": int((rows["dup_kind"] == "pixels").sum()),
        "near": int((rows["dup_kind"] == "near").sum()),
        "in_conflict": decided.count(Reason.LABEL_CONFLICT),
    }


def override_statistics(rows: pd.DataFrame, decided: Decisions, *, n_lines: int) -> dict[str, int]:
    """overruled: images a person wanted kept that a leak, their class or a missing label takes out all the same."""
    overruled = rows["keep"] & ~decided.standing
    return {
        "lines": n_lines,
        "pictures": int(rows["touched"].sum()),
        "overruled": int(overruled.sum()),
    }


def ledger(manifest: pd.DataFrame) -> dict[str, Any]:
    """discovered, kept, quarantined, removed: in all and by source. By class see `balance`: that is no metric."""
    parts = manifest.groupby("source", sort=True)
    by_source = {str(name): _sums(part) for name, part in parts}
    return {**_sums(manifest), "by_source": by_source}


def balance(manifest: pd.DataFrame, splits: pd.Series) -> pd.DataFrame:
    """balance.csv: how many images (n) of each class, in each split, met which decision and primary reason.

    splits: train, val or test by image_id, also of rows that were left out: where they would have gone; NaN for those
    that cannot be used. An image without a decided class counts under the one it came with. Empty cells: none.
    """
    columns = {
        "class_id": manifest["class_id"].fillna(manifest["label_received"]).fillna(""),
        "split": splits.reindex(manifest.index).fillna(""),
        "decision": manifest["decision"],
        "reason": manifest["reason"].fillna(""),
    }
    groups = pd.DataFrame(columns).astype("str").groupby(BALANCE_KEY, sort=True)
    counted = groups.size().rename("n").reset_index()
    assert counted["n"].sum() == len(manifest), "an image is in no line of the balance"
    return counted


def data_profile(kept: pd.DataFrame, became: Mapping[str, str | None]) -> dict[str, Any]:
    """n, columns (name -> edges, counts), classes (class_id -> n) and became (received class -> class_id).

    kept: kept rows with decode metadata. became: None for a class that an override excludes.
    """
    short_side = kept[["width_px", "height_px"]].min(axis=1)
    values = kept.assign(short_side_px=short_side)
    return {
        "n": len(kept),
        "columns": {name: _histogram(values[name], edges) for name, edges in EDGES.items()},
        "classes": counts(kept["class_id"]),
        "became": dict(sorted(became.items())),
    }


def counts(values: pd.Series) -> dict[str, int]:
    """How often each value occurs, by name."""
    return {str(name): int(n) for name, n in values.value_counts().sort_index().items()}


def rounded(tree: dict[str, Any]) -> dict[str, Any]:
    """The same tree with floats at 6 digits; a NaN (there was nothing to measure) is left out."""
    kept: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            kept[name] = rounded(value)
        elif not isinstance(value, float):
            kept[name] = value
        elif not np.isnan(value):
            kept[name] = round(value, DIGITS)
    return kept


def _sums(part: pd.DataFrame) -> dict[str, int]:
    sums = {word: int((part["decision"] == decision).sum()) for decision, word in SUMS.items()}
    assert sum(sums.values()) == len(part), "a row is neither kept nor quarantined nor removed"
    return {"discovered": len(part), **sums}


def _histogram(values: pd.Series, edges: NDArray[Any]) -> dict[str, list[float]]:
    known = values.dropna().to_numpy(dtype=float)
    inside = np.clip(known, edges[0], edges[-1])
    n_by_bin, _ = np.histogram(inside, edges)
    return {"edges": edges.tolist(), "counts": n_by_bin.tolist()}
