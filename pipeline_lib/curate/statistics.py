"""Statistics of the curated data: curation.json, balance.csv and profile.json, the same for the same data.

curation.json holds counts and shares. balance.csv accounts for every file found: kept, quarantined or removed, by class
and split. profile.json holds the kept images in a few histograms and class counts, small enough to be compared
with those of any later version: `register` compares the profile with that of the version before
(pipeline_lib/report/drift.py), and finds the champion's classes among today's by the renames and merges in `became`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline_lib.curate.decisions import Verdicts
from pipeline_lib.curate.label_issues import Opinion
from pipeline_lib.reasons import Reason, Remark
from pipeline_lib.tables.manifest import SPLITS

DIGITS = 6


def row_figures(rows: pd.DataFrame, verdicts: Verdicts) -> dict[str, Any]:
    """How often each primary reason, remark and split occurs."""
    kept = rows.loc[verdicts.standing, "split"]
    return {
        "reasons": counts(verdicts.reason.dropna()),
        "remarks": {code.value: verdicts.count(code) for code in Remark if verdicts.count(code)},
        "splits": {split: int((kept == split).sum()) for split in SPLITS},
    }


def class_figures(listed: tuple[str, ...], classes: pd.DataFrame) -> dict[str, int]:
    """listed: the classes a picture might have had. absent: those of them that no kept picture has."""
    n_train = classes["n_train"]
    absent = len(set(listed) - set(classes["class_id"]))
    return {"kept": len(classes), "absent": absent, "train_min": int(n_train.min()), "train_max": int(n_train.max())}


def issue_figures(rows: pd.DataFrame, opinion: Opinion) -> dict[str, float]:
    """How many labels were judged out of sample and doubted, and the share that confident learning thinks wrong."""
    issues = {kind: int((rows["label_issue"] == kind).sum()) for kind in ("auto", "review")}
    estimates = {"estimated_noise_rate": opinion.noise_rate, "out_of_fold_accuracy": opinion.accuracy}
    return {"scored": int(rows["p_given"].notna().sum()), **issues, **estimates}


def duplicate_figures(rows: pd.DataFrame, verdicts: Verdicts) -> dict[str, int]:
    """Groups of copies, the pictures in them by kind, and those whose copies have another class."""
    kinds = {kind: int((rows["dup_kind"] == kind).sum()) for kind in ("bytes", "pixels", "near")}
    return {
        "groups": int(rows["dup_group"].nunique()),
        "pictures": int(rows["dup_group"].notna().sum()),
        **kinds,
        "in_conflict": verdicts.count(Reason.LABEL_CONFLICT),
    }


def override_figures(rows: pd.DataFrame, verdicts: Verdicts, *, n_lines: int) -> dict[str, int]:
    """overruled: pictures a person wanted kept that a leak, their class or a missing label takes out all the same."""
    overruled = rows["keep"] & ~verdicts.standing
    return {"lines": n_lines, "pictures": int(rows["touched"].sum()), "overruled": int(overruled.sum())}


def counts(values: pd.Series) -> dict[str, int]:
    """How often each value occurs, by name."""
    return {str(name): int(n) for name, n in values.value_counts().sort_index().items()}


def rounded(tree: dict[str, Any]) -> dict[str, Any]:
    """The same tree with floats at 6 digits; what is NaN (there was nothing to measure) is left out."""
    kept: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            kept[name] = rounded(value)
        elif not isinstance(value, float):
            kept[name] = value
        elif value == value:
            kept[name] = round(value, DIGITS)
    return kept


SUMS = {"keep": "kept", "quarantine": "quarantined", "remove": "removed"}
BALANCE_KEY = ["class_id", "split", "decision", "reason"]


def ledger(manifest: pd.DataFrame) -> dict[str, Any]:
    """discovered, kept, quarantined, removed: in all and by source. By class see `balance`: that is no metric."""
    return {
        **_balance(manifest),
        "by_source": {str(name): _balance(part) for name, part in manifest.groupby("source", sort=True)},
    }


def balance(manifest: pd.DataFrame, splits: pd.Series) -> pd.DataFrame:
    """balance.csv: how many pictures (n) of each class, in each split, met which decision and primary reason.

    splits: train, val or test by image_id, also of rows that were left out: where they would have gone; NaN for those
    that cannot be used. A picture without a decided class counts under the one it came with. Empty cells: none.
    """
    columns = {
        "class_id": manifest["class_id"].fillna(manifest["label_received"]).fillna(""),
        "split": splits.reindex(manifest.index).fillna(""),
        "decision": manifest["decision"],
        "reason": manifest["reason"].fillna(""),
    }
    counted = pd.DataFrame(columns).astype("str").groupby(BALANCE_KEY, sort=True).size().rename("n").reset_index()
    assert counted["n"].sum() == len(manifest), "a picture is in no line of the balance"
    return counted


def _balance(part: pd.DataFrame) -> dict[str, int]:
    sums = {word: int((part["decision"] == decision).sum()) for decision, word in SUMS.items()}
    assert sum(sums.values()) == len(part), "a row is neither kept nor quarantined nor removed"
    return {"discovered": len(part), **sums}


EDGES = {  # n + 1 edges of n bins, the last one closed; what lies outside counts in the first or the last bin
    "short_side_px": np.unique(np.round(2 ** np.arange(4, 13.5, 0.5))),  # 16, 23, 32, ... 8,192
    "luminance_p50": np.arange(0, 257, 16),
    "entropy_bit": np.arange(0, 8.5, 0.5),
    "blur_ratio": np.arange(0, 1.05, 0.05).round(2),
}


def data_profile(kept: pd.DataFrame, became: Mapping[str, str | None]) -> dict[str, Any]:
    """n, columns (name -> edges, counts), classes (class_id -> n) and became (received class -> class_id).

    kept: rows that stand, with what decode told. became: None for a class that an override excludes.
    """
    values = kept.assign(short_side_px=kept[["width_px", "height_px"]].min(axis=1))
    classes = kept["class_id"].value_counts().sort_index()
    return {
        "n": len(kept),
        "columns": {name: _histogram(values[name], edges) for name, edges in EDGES.items()},
        "classes": {str(name): int(n) for name, n in classes.items()},
        "became": dict(sorted(became.items())),
    }


def _histogram(values: pd.Series, edges: np.ndarray[Any, np.dtype[Any]]) -> dict[str, list[float]]:
    known = values.dropna().to_numpy(dtype=float)
    counts, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
    return {"edges": edges.tolist(), "counts": counts.tolist()}
