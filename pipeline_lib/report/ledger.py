"""Where every image went: discovered = kept + quarantined + removed, in total, by source and by class."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pipeline_lib.tables.manifest import EXTRA, SPLITS

NO_CLASS = "(no class)"


@dataclass(frozen=True)
class LedgerRow:
    """Counts of images under one name."""

    name: str
    discovered: int
    kept: int
    quarantined: int
    removed: int

    def __post_init__(self) -> None:
        assert self.discovered == self.kept + self.quarantined + self.removed, (
            f"images were lost: {self}"
        )


@dataclass(frozen=True)
class ReasonCount:
    """How many images were not kept for one reason. decision: quarantine or remove.

    would_be: split -> how many of them would have gone there; those that cannot be used are in none.
    """

    reason: str
    decision: str
    count: int
    would_be: dict[str, int]


@dataclass(frozen=True)
class Ledger:
    """The accounts of one manifest. splits: name -> kept images in it. n_extra: kept images of extra test sets."""

    total: LedgerRow
    by_source: tuple[LedgerRow, ...]
    by_class: tuple[LedgerRow, ...]
    reasons: tuple[ReasonCount, ...]
    splits: dict[str, int]
    n_extra: int


def ledger_of(manifest: pd.DataFrame, balance: pd.DataFrame) -> Ledger:
    """Count a manifest. An image without a decided class counts under the one it came with. balance: balance.csv."""
    classes = manifest["class_id"].fillna(manifest["label_received"]).fillna(NO_CLASS)

    # Why images were not kept, the commonest reason first.
    lost = balance[balance["decision"] != "keep"]
    reasons = [_reason(str(reason), rows) for reason, rows in lost.groupby("reason")]
    reasons.sort(key=lambda found: (-found.count, found.reason))

    kept = manifest.loc[manifest["decision"] == "keep", "split"].value_counts()
    by_source = _rows(manifest, manifest["source"])
    return Ledger(
        total=_total(by_source),
        by_source=by_source,
        by_class=_rows(manifest, classes),
        reasons=tuple(reasons),
        splits={split: int(kept.get(split, 0)) for split in SPLITS},
        n_extra=int(kept.get(EXTRA, 0)),
    )


def _reason(reason: str, rows: pd.DataFrame) -> ReasonCount:
    would_be = {split: int(rows.loc[rows["split"] == split, "n"].sum()) for split in SPLITS}
    return ReasonCount(reason, str(rows["decision"].iloc[0]), int(rows["n"].sum()), would_be)


def _rows(manifest: pd.DataFrame, names: pd.Series) -> tuple[LedgerRow, ...]:
    """One row per name, in their order."""
    keys = names.astype(object).to_numpy()
    counts = pd.crosstab(keys, manifest["decision"].astype(object).to_numpy())
    counts = counts.reindex(columns=["keep", "quarantine", "remove"], fill_value=0)
    discovered = pd.Series(keys).value_counts()
    return tuple(
        LedgerRow(str(name), int(discovered[name]), int(kept), int(quarantined), int(removed))
        for name, kept, quarantined, removed in counts.itertuples()
    )


def _total(rows: tuple[LedgerRow, ...]) -> LedgerRow:
    """All sources together."""
    kept, quarantined, removed = (
        sum(getattr(row, decision) for row in rows)
        for decision in ("kept", "quarantined", "removed")
    )
    return LedgerRow("all", sum(row.discovered for row in rows), kept, quarantined, removed)
