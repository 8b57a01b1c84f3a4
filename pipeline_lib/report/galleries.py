"""Which images to show: label issues, labels changed by votes, duplicates, worst mistakes. Worst first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

SHOWN, SHOWN_GROUPS, SHOWN_IN_GROUP = 24, 12, 4


@dataclass(frozen=True)
class Card:
    """One image with its caption. was -> now: a label and what is said instead; note: the line below."""

    image_id: str
    was: str
    now: str
    note: str


@dataclass(frozen=True)
class Gallery:
    """The first cards of a list of `total`."""

    cards: tuple[Card, ...]
    total: int


@dataclass(frozen=True)
class DuplicateGroup:
    """Images that show the same thing. across_splits: keeping them apart from training was needed."""

    kind: str
    size: int
    across_splits: bool
    cards: tuple[Card, ...]


def label_issues(review: pd.DataFrame) -> Gallery:
    """Labels that the out-of-sample predictors doubt, from the review queue."""
    rows = review[review["kind"] == "label_issue"].sort_values("rank")
    cards = []
    for row in rows.head(SHOWN).to_dict("records"):
        note = f"p(wrong) {row['score']:.2f}" if pd.notna(row["score"]) else ""
        cards.append(Card(row["image_id"], _text(row["given"]), _text(row["suggested"]), note))
    return Gallery(tuple(cards), len(rows))


def changed_by_votes(manifest: pd.DataFrame) -> Gallery:
    """Labels that people's votes overruled, least certain first."""
    changed = manifest["label_received"].notna() & (
        manifest["label_received"] != manifest["class_id"]
    )
    by_votes = manifest["label_source"] == "votes"
    rows = manifest[changed.fillna(False) & by_votes.fillna(False)]
    rows = rows.sort_values(["label_confidence", "image_id"])
    cards = [
        Card(
            row["image_id"],
            _text(row["label_received"]),
            _text(row["class_id"]),
            f"{row['n_votes']} votes",
        )
        for row in rows.head(SHOWN).to_dict("records")
    ]
    return Gallery(tuple(cards), len(rows))


def duplicates(manifest: pd.DataFrame) -> tuple[tuple[DuplicateGroup, ...], int]:
    """The first duplicate groups, those that would have leaked first, and how many there are."""
    rows = manifest[manifest["dup_group"].notna()]
    groups = [_group(found) for _, found in rows.groupby("dup_group")]
    groups.sort(key=lambda group: (not group.across_splits, group.kind, -group.size))
    return tuple(groups[:SHOWN_GROUPS]), len(groups)


def worst_mistakes(predictions: pd.DataFrame, names: Mapping[int, str]) -> Gallery:
    """Wrong answers on the test split, by the probability given to the true class, smallest first."""
    wrong = predictions[(predictions["split"] == "test") & ~predictions["correct"].astype(bool)]
    rows = wrong.sort_values(["p_label", "image_id"])
    cards = [
        Card(
            row["image_id"],
            names[int(row["label"])],
            names[int(row["predicted"])],
            f"p(true) {row['p_label']:.2f}\np(pred) {row['p_predicted']:.2f}",
        )
        for row in rows.head(SHOWN).to_dict("records")
    ]
    return Gallery(tuple(cards), len(rows))


def _group(rows: pd.DataFrame) -> DuplicateGroup:
    shown = rows.sort_values(["decision", "image_id"]).head(SHOWN_IN_GROUP)
    cards = []
    for row in shown.to_dict("records"):
        label = _text(row["class_id"]) or _text(row["label_received"])
        cards.append(Card(row["image_id"], label, "", _fate(row["split"], row["reason"])))
    leaks = (rows["reason"] == "leak_train_eval").fillna(False)
    kind = str(rows["dup_kind"].dropna().min())
    return DuplicateGroup(kind, len(rows), bool(leaks.any()), tuple(cards))


def _fate(split: Any, reason: Any) -> str:
    return f"kept, {split}" if pd.notna(split) else f"left out\n{_text(reason).replace('_', ' ')}"


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)
