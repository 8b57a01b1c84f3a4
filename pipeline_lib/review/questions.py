"""What is asked about which image, gathered from the review queue, the manifest and the votes. Most urgent first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_lib.pixels import PixelRules
from pipeline_lib.pixels.pixelate import Pixelation
from pipeline_lib.report.thumbnails import thumbnails
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.review import REVIEW
from pipeline_lib.tables.votes import VOTES

SIDE_PX = 224  # short side of an image on the page
KINDS = (  # in order
    "label_issue",
    "need_more_votes",
    "to_label",
    "duplicate_conflict",
    "near_duplicate",
    "outlier",
    "quarantined",
    "quality",
)
COPIES = ("duplicate_conflict", "near_duplicate")
SHOWN_COPIES = 5


@dataclass(frozen=True)
class Copy:
    """Another image of the same duplicate group. fate: `kept, test` or why it was left out."""

    image_id: str
    label: str
    fate: str


@dataclass(frozen=True)
class Question:
    """One question about one image.

    id: the same as long as the question is. key_type, key: how an override names the image: by its bytes, unless
    other images have the same ones. given: "" without a class. suggested: "" for none. p_given, p_suggested: 0..1, or
    None. votes: annotator -> class. usable: its bytes give an image. near: its copies are near ones only.
    """

    id: str
    kind: str
    image_id: str
    key_type: str
    key: str
    given: str
    suggested: str
    score: float | None
    p_given: float | None
    p_suggested: float | None
    note: str
    votes: tuple[tuple[str, str], ...]
    copies: tuple[Copy, ...]
    usable: bool
    near: bool


@dataclass(frozen=True)
class Questions:
    """Everything a review shows. totals: kind -> how many there are. images: image_id -> data URI or ""."""

    asked: tuple[Question, ...]
    totals: Mapping[str, int]
    classes: tuple[str, ...]
    sources: tuple[str, ...]
    images: Mapping[str, str]


def gather(
    files: Mapping[str, Path], *, most: int, pixelation: Pixelation | None = None
) -> Questions:
    """Read the artifacts (role -> path) and take the `most` most urgent questions, of all kinds alike.

    pixelation: what makes parts of the images unrecognisable, as in those that are trained on.
    """
    review = REVIEW.read(files["review"])
    manifest = MANIFEST.read(files["manifest"]).set_index("image_id")
    order = review["kind"].map({kind: place for place, kind in enumerate(KINDS)}).fillna(len(KINDS))
    review = review.assign(order=order).sort_values(["order", "kind", "rank"])
    chosen = (
        review.sort_values(["rank", "order", "kind"])
        .head(most)
        .sort_values(["order", "kind", "rank"])
    )
    shown = set(chosen["image_id"])
    votes = VOTES.read(files["votes"])
    cast = votes[votes["image_id"].isin(shown)].groupby("image_id")
    images = IMAGES.read(files["images"], ["image_id", "refusal"])
    usable = set(images.loc[images["refusal"].isna(), "image_id"])
    found = _Facts(
        manifest=manifest,
        alone=~manifest["sha256"].duplicated(keep=False) & manifest["sha256"].notna(),
        votes={
            name: tuple(zip(rows["annotator"], rows["label"], strict=True)) for name, rows in cast
        },
        groups=dict(list(_with_copies(manifest, shown).groupby("dup_group"))),
        usable=usable,
    )
    records: list[dict[Any, Any]] = chosen.to_dict("records")
    asked = tuple(_question(row, found) for row in records)
    needed = {one.image_id for one in asked} | {
        copy.image_id for one in asked for copy in one.copies
    }
    return Questions(
        asked=asked,
        totals={str(kind): int(n) for kind, n in review["kind"].value_counts(sort=False).items()},
        classes=tuple(_classes(files, manifest)),
        sources=tuple(sorted(set(manifest["source"]))),
        images=_images(needed & usable, files, pixelation),
    )


@dataclass(frozen=True)
class _Facts:
    manifest: pd.DataFrame
    alone: pd.Series
    votes: Mapping[Any, tuple[tuple[str, str], ...]]
    groups: Mapping[Any, pd.DataFrame]
    usable: set[str]


def _question(row: dict[Any, Any], found: _Facts) -> Question:
    image_id = row["image_id"]
    facts = found.manifest.loc[image_id]
    by_bytes = bool(found.alone[image_id])
    key_type, key = ("sha256", row["sha256"]) if by_bytes else ("image_id", image_id)
    given, suggested = _text(row["given"]), _text(row["suggested"])
    doubted = suggested != "" and suggested == _text(facts["label_suggested"])
    return Question(
        id=_digest([row["kind"], key, given, suggested]),
        kind=row["kind"],
        image_id=image_id,
        key_type=key_type,
        key=key,
        given=given,
        suggested=suggested,
        score=_share(row["score"]),
        p_given=_share(facts["p_given"]) if doubted else None,
        p_suggested=_share(facts["p_suggested"]) if doubted else None,
        note=row["note"],
        votes=found.votes.get(image_id, ()),
        copies=_copies(image_id, found.groups.get(facts["dup_group"]))
        if row["kind"] in COPIES
        else (),
        usable=image_id in found.usable,
        near=_text(facts["dup_kind"]) == "near",
    )


def _with_copies(manifest: pd.DataFrame, shown: set[str]) -> pd.DataFrame:
    groups = manifest.loc[manifest.index.isin(shown), "dup_group"].dropna()
    return manifest[manifest["dup_group"].isin(groups)]


def _copies(image_id: str, group: pd.DataFrame | None) -> tuple[Copy, ...]:
    """The other images of the group, kept ones first."""
    if group is None:
        return ()
    others = (
        group[group.index != image_id].rename_axis("image_id").sort_values(["decision", "image_id"])
    )
    return tuple(
        Copy(str(name), _text(row["class_id"]), _fate(row))
        for name, row in others.head(SHOWN_COPIES).iterrows()
    )


def _fate(row: pd.Series) -> str:
    return (
        f"kept, {row['split']}"
        if row["decision"] == "keep"
        else f"left out, {row['reason']}".replace("_", " ")
    )


def _classes(files: Mapping[str, Path], manifest: pd.DataFrame) -> Iterable[str]:
    """Classes an image may be given: the line's, then those that only images left out have."""
    kept = list(read_classes(files["classes"])["class_id"])
    return [*kept, *sorted(set(manifest["class_id"].dropna()) - set(kept))]


def _images(
    image_ids: Iterable[str], files: Mapping[str, Path], pixelation: Pixelation | None
) -> dict[str, str]:
    columns = ["image_id", "container", "offset_bytes", "size_bytes"]
    rules = PixelRules.model_validate(json.loads(files["pixel_rules"].read_text(encoding="utf-8")))
    members = MEMBERS.read(files["members"], columns)
    return thumbnails(
        image_ids,
        members=members,
        shards=files["shards"],
        rules=rules,
        pixelation=pixelation,
        short_side_px=SIDE_PX,
    )


def _digest(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _share(value: Any) -> float | None:
    return None if pd.isna(value) else round(float(value), 3)
