"""The balance of the data: every file found is kept, quarantined or removed, in all, by source, by class and split."""

from __future__ import annotations

from typing import Any

import pandas as pd

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
