"""Which copy of a picture stays."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

AUTHORITY = {"received": 0, "votes": 1, "override": 2}
SPLIT_RANK = {"test": 0, "val": 1, "train": 2}


@dataclass(frozen=True)
class Settled:
    """What becomes of copies, as boolean Series over the rows given.

    conflict: same picture, different classes. leak: training copy of a val or test picture. surplus: another copy of
    the same class stays. disputed: an evaluation picture that stays although a copy has another class.
    """

    conflict: pd.Series
    leak: pd.Series
    surplus: pd.Series
    disputed: pd.Series


def settle(rows: pd.DataFrame, *, shielded: pd.Series) -> Settled:
    """Decide which copies stay. rows: dup_group, class_id, label_source, split and size in px, by image_id.

    Same class: one stays (test before val before train, more pixels, smaller image_id); a training copy of an
    evaluation picture is a leak. Different classes: the label with the highest authority (override, votes, received)
    holds if it is alone there; every other training copy is quarantined, every evaluation picture stays and is shown
    for review. shielded: rows a person decided to keep; they give way to evaluation only.
    """
    copies = rows[rows["dup_group"].notna()]
    train = copies["split"] == "train"
    group = copies["dup_group"]
    differing = copies.groupby(group)["class_id"].transform("nunique") > 1
    wrong = differing & ~_trusted(copies)
    leak = train & (~train).groupby(group).transform("any")
    conflict = wrong & train & ~shielded[copies.index]
    best = _best_first(copies[~conflict], shielded).duplicated(["dup_group", "class_id"], keep="first")
    surplus = best.reindex(copies.index, fill_value=False) & ~shielded[copies.index] & ~leak
    parts = {"conflict": conflict, "leak": leak, "surplus": surplus, "disputed": wrong & ~train}
    return Settled(**{name: mask.reindex(rows.index, fill_value=False).astype(bool) for name, mask in parts.items()})


def _trusted(copies: pd.DataFrame) -> pd.Series:
    """Rows whose label people decided (votes, override) and nobody of equal standing disputes within the group."""
    authority = copies["label_source"].map(AUTHORITY).fillna(0)
    highest = authority.groupby(copies["dup_group"]).transform("max")
    top = copies[(authority == highest) & (highest > 0)]
    unanimous = top.groupby("dup_group")["class_id"].agg(["nunique", "first"])
    label = unanimous["first"].where(unanimous["nunique"] == 1)
    return copies["class_id"] == copies["dup_group"].map(label)


def _best_first(copies: pd.DataFrame, shielded: pd.Series) -> pd.DataFrame:
    pixels = copies["width_px"].astype("int64") * copies["height_px"].astype("int64")
    rank = copies.assign(split_rank=copies["split"].map(SPLIT_RANK), n=-pixels, kept=~shielded[copies.index])
    return rank.rename_axis("image_id").sort_values(["split_rank", "kept", "n", "image_id"])
