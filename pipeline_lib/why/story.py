"""What the line knows of one image: where it came from, what was decided and why, what a model said, who learnt it.

Reads the two tables that all else reads, manifest and predictions, and what they are joined with: members, votes, extras,
the review queue, curation's files, and the receipts of the registered models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from pipeline_lib.curate.curation_files import OVERRIDES, read_overrides
from pipeline_lib.curate.overrides import IMAGE_KEYS, Override, parse_overrides
from pipeline_lib.reasons import Reason, Remark
from pipeline_lib.registry import Version
from pipeline_lib.registry.dvc_cache import DvcCache
from pipeline_lib.remedies import remedy_of
from pipeline_lib.slices.groups_file import grouped_images, read_groups
from pipeline_lib.slices.names import GROUPS_FILE
from pipeline_lib.sources.paths_in_source import path_in_source
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.extras import EXTRAS
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.review import REVIEW
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.tables.table import Table
from pipeline_lib.tables.unlabelled import UNLABELLED
from pipeline_lib.tables.votes import VOTES

ROLES = ("manifest", "members", "images", "votes", "review", "sources", "classes", "predictions")
LATER_ROLES = ("extras",)  # that a run of an earlier release did not write
COPIES_NAMED = 10
DRAWN_BY = {
    "subject": "its subject",
    "pixels": "its pixels",
    "bytes": "its bytes",
    "name": "its name",
}
TRAINED_ON: Mapping[str, Table] = {"train": SELECTION, "unlabelled": UNLABELLED}
Row = dict[str, Any]


@dataclass(frozen=True)
class Learnt:
    """Registered models. by: versions that had the image among their training images; unknown: whose list is lost."""

    by: tuple[int, ...]
    not_by: tuple[int, ...]
    unknown: tuple[int, ...]


def known_images(files: Mapping[str, Path]) -> pd.DataFrame:
    """image_id, source and sha256 of every file ever found."""
    return MANIFEST.read(files["manifest"], ["image_id", "source", "sha256"])


def story_of(
    image_id: str,
    files: Mapping[str, Path],
    *,
    checkout: Path,
    versions: Sequence[Version],
    cache: DvcCache,
) -> dict[str, Any]:
    """All of it, ready for JSON. files: artifacts by role; those of an earlier release may lack some, which are left out.

    Raises ConfigError and BadData where people's files in curation/ are malformed.
    """
    row = _row(MANIFEST, files, "manifest", image_id) or {}
    member = _row(MEMBERS, files, "members", image_id) or {}
    classes = read_classes(files["classes"])
    names = dict(zip(classes["class_id"], classes["name"], strict=True))
    lines = _override_lines(checkout, image_id, row.get("sha256"))
    return {
        "image_id": image_id,
        "origin": _origin(row, member, files),
        "image": _image(image_id, row, files),
        "label": _label(row, names, _votes(image_id, files), lines),
        "decision": _decision(row),
        "split": _split(row, member, lines),
        "copies": _copies(row, files),
        "doubt": _doubt(image_id, row, names, files),
        "groups": _groups(image_id, row, checkout),
        "extras": _extras(image_id, files),
        "answer": _answer(image_id, classes, files),
        "learnt": vars(learnt_by(image_id, versions, cache)),
    }


def learnt_by(image_id: str, versions: Sequence[Version], cache: DvcCache) -> Learnt:
    """Which registered models had the image, by its image_id, among their training images, labelled or not.

    One read per list of training images, which many versions share.
    """
    known: dict[str, bool | None] = {}
    by, not_by, unknown = [], [], []
    for version in versions:
        receipt = version.closure.stages.get("train")
        deps = receipt.deps if receipt else {}
        lists = {Path(path).stem: md5 for path, md5 in deps.items()}
        tables = {role: table for role, table in TRAINED_ON.items() if role in lists}
        held = []
        for role, table in tables.items():
            md5 = lists[role]
            if md5 not in known:
                known[md5] = _holds(image_id, table, cache.find(md5))
            held.append(known[md5])
        if any(held):
            by.append(version.number)
        elif "train" not in tables or None in held:
            unknown.append(version.number)
        else:
            not_by.append(version.number)
    return Learnt(tuple(by), tuple(not_by), tuple(unknown))


def _holds(image_id: str, table: Table, file: Path | None) -> bool | None:
    """Whether a list holds the image; None where the cache has lost it."""
    if file is None:
        return None
    return bool((table.read(file, ["image_id"])["image_id"] == image_id).any())


def _rows(table: Table, file: Path, column: str, value: str) -> list[Row]:
    """The rows with this value, as plain Python. Tables are sorted by image_id: most of a file is not even read."""
    table.read(file, [column])  # is it this table, of this version?
    found: list[Row] = pq.read_table(file, filters=[(column, "==", value)]).to_pylist()
    return found


def _row(table: Table, files: Mapping[str, Path], role: str, image_id: str) -> Row | None:
    found = _rows(table, files[role], "image_id", image_id) if role in files else []
    return found[0] if found else None


def _origin(row: Row, member: Row, files: Mapping[str, Path]) -> Row:
    source = str(row["source"])
    entries = json.loads(files["sources"].read_text(encoding="utf-8"))
    listed = (
        entries if isinstance(entries, list) else []
    )  # of an earlier release it is another form
    uri = next((one.get("uri") for one in listed if one.get("name") == source), None)
    return {
        "source": source,
        "uri": uri,
        "path": path_in_source(str(row["image_id"]), source),
        "sha256": row["sha256"],
        "size_bytes": row["size_bytes"],
        "shard": row["shard"],
        "container": member.get("container"),
        "offset_bytes": member.get("offset_bytes"),
    }


def _image(image_id: str, row: Row, files: Mapping[str, Path]) -> Row:
    decoded = _row(IMAGES, files, "images", image_id) or {}
    facts = ("format", "width_px", "height_px")
    more = ("mode", "detail", "luminance_p50", "exif_orientation", "n_frames")
    return {name: row[name] for name in facts} | {name: decoded.get(name) for name in more}


def _votes(image_id: str, files: Mapping[str, Path]) -> list[Row]:
    found = _rows(VOTES, files["votes"], "image_id", image_id) if "votes" in files else []
    return [{"annotator": one["annotator"], "label": one["label"]} for one in found]


def _label(
    row: Row, names: Mapping[str, str], votes: Sequence[Row], lines: Sequence[Override]
) -> Row:
    class_id = row["class_id"]
    return {
        "class_id": class_id,
        "name": names.get(class_id, class_id),
        "by": row["label_source"],
        "received": row["label_received"],
        "confidence": row["label_confidence"],
        "votes": list(votes),
        "overrides": [
            {"line": one.line, "key_type": one.key_type, "action": one.action, "value": one.value}
            for one in lines
        ],
    }


def _override_lines(checkout: Path, image_id: str, sha256: str | None) -> list[Override]:
    """The lines that name the image in curation/overrides.csv as it is now."""
    if not (checkout / OVERRIDES).exists():
        return []
    lines = parse_overrides(read_overrides(checkout), checkout / OVERRIDES)
    return [one for one in lines if one.key_type in IMAGE_KEYS and one.key in (image_id, sha256)]


def _decision(row: Row) -> Row:
    reason = row["reason"]
    faulty = row["decision"] == "quarantine"
    known = _code(reason)
    return {
        "decision": row["decision"],
        "by": row["decided_by"],
        "reason": reason,
        "meaning": known.meaning if known else None,
        "remedy": remedy_of(known) if isinstance(known, Reason) and faulty else None,
        "also": [
            {"code": code, "meaning": other.meaning if (other := _code(code)) else None}
            for code in row["flags"] or ()
            if code != reason
        ],
    }


def _code(code: str | None) -> Reason | Remark | None:
    """The code of this release; None for none, and for one of another release."""
    for kind in (Reason, Remark):
        if code in set(kind):
            return kind(code)
    return None


def _split(row: Row, member: Row, lines: Sequence[Override]) -> Row:
    """The split, and what put the image there."""
    split, published = row["split"], member.get("split_received")
    kind = str(row["group_id"]).partition(":")[0]
    by_hash = f"drawn by the hash of {DRAWN_BY.get(kind, 'its key')}, which all its copies share"
    if split is None:
        why = "it is not kept"
    elif any(one.action == "split" and one.value == split for one in lines):
        why = "a line of curation/overrides.csv says so"
    elif published == split:
        why = "the source publishes it so"
    elif published is not None:
        why = f"published as {published}; no source has a {split} split, so it was {by_hash}"
    else:
        why = by_hash
    weight = row["weight"]
    return {"split": split, "why": why, "subject": row["subject"], "weight": weight}


def _copies(row: Row, files: Mapping[str, Path]) -> Row | None:
    group = row["dup_group"]
    if group is None:
        return None
    others = [
        {"image_id": one["image_id"], "decision": one["decision"], "split": one["split"]}
        for one in _rows(MANIFEST, files["manifest"], "dup_group", group)
        if one["image_id"] != row["image_id"]
    ]
    return {"kind": row["dup_kind"], "n_others": len(others), "others": others[:COPIES_NAMED]}


def _doubt(image_id: str, row: Row, names: Mapping[str, str], files: Mapping[str, Path]) -> Row:
    questions = _rows(REVIEW, files["review"], "image_id", image_id) if "review" in files else []
    suggested = row["label_suggested"]
    return {
        "label_issue": row["label_issue"],
        "label_doubt": row["label_doubt"],
        "p_given": row["p_given"],
        "suggested": suggested,
        "suggested_name": names.get(suggested, suggested),
        "p_suggested": row["p_suggested"],
        "ood_score": row["ood_score"],
        "questions": [{name: one[name] for name in ("kind", "rank", "note")} for one in questions],
    }


def _groups(image_id: str, row: Row, checkout: Path) -> dict[str, str]:
    """What curation/groups.csv says now. Only of this image: a line about another one is not this command's business."""
    this = pd.DataFrame([{name: row[name] for name in ("image_id", "source", "sha256")}])
    groups = read_groups(checkout)
    keys = {image_id, row["sha256"], path_in_source(image_id, str(row["source"]))}
    mine = [one for one in groups.lines if one.key in keys or one.key.lower() in keys]
    if not mine:
        return {}
    found = grouped_images(groups, this, checkout / GROUPS_FILE).values
    return dict(found.get(image_id, {}))


def _extras(image_id: str, files: Mapping[str, Path]) -> dict[str, Any]:
    row = _row(EXTRAS, files, "extras", image_id)
    return json.loads(row["extras"]) if row else {}


def _answer(image_id: str, classes: pd.DataFrame, files: Mapping[str, Path]) -> Row | None:
    row = _row(PREDICTIONS, files, "predictions", image_id)
    if row is None:
        return None
    ids, names = classes["class_id"].tolist(), classes["name"].tolist()
    return {
        "split": row["split"],
        "correct": row["correct"],
        "label": ids[row["label"]],
        "p_label": row["p_label"],
        "top": [
            {"class_id": ids[k], "name": names[k], "p": p}
            for k, p in zip(row["top_classes"], row["top_p"], strict=True)
        ],
    }
