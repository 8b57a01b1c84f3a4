"""Which images to show, and with which caption: doubted labels, labels changed by votes, copies, what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from pipeline_lib.report.answers import override_line, shared_bytes
from pipeline_lib.sources.paths_in_source import path_in_source

SHOWN, SHOWN_GROUPS, SHOWN_IN_GROUP = 24, 12, 4  # on the first page
MOST, MOST_GROUPS, MOST_IN_GROUP = 500, 200, 12  # on a page of their own
MOST_LEFT_OUT = 60  # per reason


@dataclass(frozen=True)
class Card:
    """One image with its caption.

    name: its path in the source, which people can copy. was -> now: a label and what is said instead; note: the lines
    below. doubt: what speaks against the label, with `override`, the line of curation/overrides.csv that changes it.
    href: where images with the same label and answer are.
    """

    image_id: str
    sha256: str
    name: str
    was: str
    now: str
    note: str = ""
    doubt: str = ""
    override: str = ""
    href: str = ""


@dataclass(frozen=True)
class Gallery:
    """The first cards of a list of `total`."""

    cards: tuple[Card, ...]
    total: int

    def first(self, n: int) -> Gallery:
        """The same list with fewer cards."""
        return Gallery(self.cards[:n], self.total)


@dataclass(frozen=True)
class DuplicateGroup:
    """Images that show the same thing. across_splits: keeping them apart from training was needed."""

    kind: str
    size: int
    across_splits: bool
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class LeftOut:
    """Images that one reason took out. decision: quarantine or remove."""

    reason: str
    decision: str
    gallery: Gallery


Names = Mapping[str, str]  # class id -> name in words


def in_percent(p: float) -> str:
    """A probability as people read it; what is nearly certain is not called certain."""
    if 0 < p < 0.01:
        return "< 1 %"
    if 0.99 < p < 1:
        return "> 99 %"
    return f"{100 * p:.0f} %"


def label_issues(review: pd.DataFrame, manifest: pd.DataFrame, names: Names) -> Gallery:
    """Labels that the out-of-sample predictors doubt, from the review queue. manifest: by image_id."""
    rows = review[review["kind"] == "label_issue"].sort_values("rank")
    shown = rows.head(MOST)
    shared = shared_bytes(shown["sha256"], manifest["sha256"]).to_list()
    cards = []
    for row, is_shared in zip(shown.to_dict("records"), shared, strict=True):
        given, suggested = _text(row["given"]), _text(row["suggested"])
        about = {**row, "sha256": _text(row["sha256"]), "suggested_class": suggested}
        card = _card(
            row["image_id"],
            manifest.loc[row["image_id"]],
            _name(given, names),
            _name(suggested, names),
            f"wrong with {in_percent(row['score'])}" if pd.notna(row["score"]) else "",
        )
        line = override_line({**about, "shared_bytes": is_shared}, given=given)
        cards.append(replace(card, override=line))
    return Gallery(tuple(cards), len(rows))


def changed_by_votes(manifest: pd.DataFrame, names: Names) -> Gallery:
    """Labels that people's votes overruled, least certain first."""
    changed = manifest["label_received"].notna() & (
        manifest["label_received"] != manifest["class_id"]
    )
    by_votes = manifest["label_source"] == "votes"
    rows = manifest[changed.fillna(False) & by_votes.fillna(False)]
    rows = rows.sort_values(["label_confidence", "image_id"])
    cards = [
        _card(
            row["image_id"],
            row,
            _name(row["label_received"], names),
            _name(row["class_id"], names),
            f"{row['n_votes']} votes",
        )
        for row in rows.head(MOST).to_dict("records")
    ]
    return Gallery(tuple(cards), len(rows))


def duplicates(manifest: pd.DataFrame, names: Names) -> tuple[tuple[DuplicateGroup, ...], int]:
    """The first duplicate groups, those that would have leaked first, and how many there are."""
    rows = manifest[manifest["dup_group"].notna()]
    leaked = set(rows.loc[(rows["reason"] == "leak_train_eval").fillna(False), "dup_group"])
    about = rows.groupby("dup_group").agg(size=("image_id", "size"), kind=("dup_kind", "min"))
    about = about.assign(
        order=~about.index.isin(leaked), kind=about["kind"].fillna("near").astype(str)
    )
    about = about.sort_values(
        ["order", "kind", "size"], ascending=[True, True, False], kind="stable"
    )
    shown = about.head(MOST_GROUPS)
    parts: dict[Any, pd.DataFrame] = dict(
        list(rows[rows["dup_group"].isin(set(shown.index))].groupby("dup_group"))
    )
    groups = []
    for name, kind in shown["kind"].items():
        part = parts[name]
        groups.append(DuplicateGroup(kind, len(part), name in leaked, _copies(part, names)))
    return tuple(groups), len(about)


def left_out(manifest: pd.DataFrame, names: Names) -> tuple[LeftOut, ...]:
    """The images that were not kept, by their primary reason, the commonest first."""
    rows = manifest[manifest["decision"] != "keep"]
    found = []
    for reason, part in rows.groupby("reason"):
        shown = part.sort_values("image_id").head(MOST_LEFT_OUT)
        cards = [
            _card(row["image_id"], row, _name(row["label_received"], names), "")
            for row in shown.to_dict("records")
        ]
        decision = str(part["decision"].iloc[0])
        found.append(LeftOut(str(reason), decision, Gallery(tuple(cards), len(part))))
    return tuple(sorted(found, key=lambda one: (-one.gallery.total, one.reason)))


def _copies(rows: pd.DataFrame, names: Names) -> tuple[Card, ...]:
    shown = rows.sort_values(["decision", "image_id"]).head(MOST_IN_GROUP)
    return tuple(
        _card(
            row["image_id"],
            row,
            _name(row["class_id"], names) or _name(row["label_received"], names),
            "",
            _fate(row["split"], row["reason"]),
        )
        for row in shown.to_dict("records")
    )


def _card(image_id: str, row: Mapping[Any, Any], was: str, now: str, note: str = "") -> Card:
    source = _text(row["source"])
    return Card(image_id, _text(row["sha256"]), path_in_source(image_id, source), was, now, note)


def _fate(split: Any, reason: Any) -> str:
    return f"kept, {split}" if pd.notna(split) else f"left out\n{_text(reason).replace('_', ' ')}"


def _name(class_id: Any, names: Names) -> str:
    return names.get(_text(class_id), _text(class_id))


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)
