"""Which copy of an image stays."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

AUTHORITY = {"received": 0, "votes": 1, "override": 2}  # of a label, by its source
SPLIT_RANK = {"test": 0, "val": 1, "train": 2}


@dataclass(frozen=True)
class Settled:
    """What becomes of copies, as boolean Series over the rows given.

    conflict: same image, different classes. leak: training copy of a val or test image. surplus: another copy of the
    same class stays. disputed: an evaluation image that stays although a copy has another class.
    """

    conflict: pd.Series
    leak: pd.Series
    surplus: pd.Series
    disputed: pd.Series


def settle(rows: pd.DataFrame, *, shielded: pd.Series, framed: pd.Series) -> Settled:
    """Decide which copies stay. rows: dup_group, class_id, label_source, split and size in px, by image_id.

    Same class: one stays (test before val before train, not framed, more pixels, smaller image_id); a training copy of an
    evaluation image is a leak. Different classes: the label with the highest authority (override, votes, received)
    holds if it is alone there; every other training copy is quarantined, every evaluation image stays and is shown
    for review. shielded: rows a person decided to keep; they give way to evaluation only. framed: rows that show
    the image of their copies in a frame, on a screen or under a caption: larger, and no better for it.
    """
    copies = rows[rows["dup_group"].notna()]
    group = copies["dup_group"]
    train = copies["split"] == "train"
    by_hand = shielded[copies.index]

    # Labels first: a copy with the wrong class must not be the one that stays.
    differing = copies.groupby(group)["class_id"].transform("nunique") > 1
    wrong = differing & ~_trusted(copies)
    conflict = wrong & train & ~by_hand

    # Then evaluation: it stays, and its training copies go.
    has_evaluation = (~train).groupby(group).transform("any")
    leak = train & has_evaluation

    # Of what is left the best of each group and class stays.
    ordered = _best_first(copies[~conflict], shielded, framed)
    later = ordered.duplicated(["dup_group", "class_id"], keep="first")
    surplus = later.reindex(copies.index, fill_value=False) & ~by_hand & ~leak

    def over_all_rows(mask: pd.Series) -> pd.Series:
        return mask.reindex(rows.index, fill_value=False).astype(bool)

    return Settled(
        conflict=over_all_rows(conflict),
        leak=over_all_rows(leak),
        surplus=over_all_rows(surplus),
        disputed=over_all_rows(wrong & ~train),
    )


def _trusted(copies: pd.DataFrame) -> pd.Series:
    """Rows whose label people decided (votes, override) and nobody of equal standing disputes within the group."""
    authority = copies["label_source"].map(AUTHORITY).fillna(0)
    highest = authority.groupby(copies["dup_group"]).transform("max")
    top = copies[(authority == highest) & (highest > 0)]
    named = top.groupby("dup_group")["class_id"].agg(["nunique", "first"])
    unanimous = named["first"].where(named["nunique"] == 1)
    return copies["class_id"] == copies["dup_group"].map(unanimous)


def _best_first(copies: pd.DataFrame, shielded: pd.Series, framed: pd.Series) -> pd.DataFrame:
    n_pixels = copies["width_px"].astype("int64") * copies["height_px"].astype("int64")
    ranked = copies.assign(
        split_rank=copies["split"].map(SPLIT_RANK),
        shielded_rank=~shielded[copies.index],
        framed_rank=framed[copies.index],
        size_rank=-n_pixels,
    )
    ranked = ranked.rename_axis("image_id")
    return ranked.sort_values(
        ["split_rank", "shielded_rank", "framed_rank", "size_rank", "image_id"]
    )
