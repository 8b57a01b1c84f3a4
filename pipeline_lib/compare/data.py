"""What differs between the images of two manifests: added, withdrawn, replaced, moved, labelled or decided otherwise.

An image is the same one where its image_id is; one that has another path is the same where its bytes are, and is called
moved. A class that was renamed is no change of a label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline_lib.tables.manifest import MANIFEST

COLUMNS = [
    "image_id",
    "source",
    "sha256",
    "label_received",
    "class_id",
    "label_source",
    "split",
    "decision",
    "reason",
]
OVERRIDE, VOTES = "override", "votes"


@dataclass(frozen=True)
class DataChanges:
    """Rows of images, by image_id now (withdrawn: then). Texts are empty where there is none.

    added, withdrawn: image_id, source, class_id, decision, split. replaced: image_id, sha256_before, sha256, class_id.
    moved: image_id_before, image_id. labels: image_id, sha256, source, before, now, by, split. left, joined: image_id,
    class_id, reason: of images that were kept and are not now, or are now; reason: why not.
    """

    added: pd.DataFrame
    withdrawn: pd.DataFrame
    replaced: pd.DataFrame
    moved: pd.DataFrame
    labels: pd.DataFrame
    left: pd.DataFrame
    joined: pd.DataFrame
    n_before: int
    n_now: int
    n_kept_before: int
    n_kept_now: int


def read_manifest(path: Path) -> pd.DataFrame:
    """The columns that are compared, texts empty where there is none."""
    table = MANIFEST.read(path, COLUMNS)
    return pd.DataFrame({name: _texts(table[name]) for name in COLUMNS})


def data_changes(
    before: pd.DataFrame, now: pd.DataFrame, today: Mapping[str, str] | None = None
) -> DataChanges:
    """before, now: of `read_manifest`. today: class id then -> the same class's id now; others keep their id."""
    renamed = {old: new for old, new in (today or {}).items() if old != new}
    then = before.assign(class_id=before["class_id"].map(lambda name: renamed.get(name, name)))
    both = _paired(then, now)
    was_kept = both["decision_before"] == "keep"
    is_kept = both["decision"] == "keep"
    relabelled = both["class_id_before"] != both["class_id"]
    labels = both[relabelled]
    new_bytes = (both["sha256_before"] != both["sha256"]) & (both["sha256"] != "")
    alone = ["image_id", "source", "class_id", "decision", "split"]
    return DataChanges(
        added=_others(now, both["image_id"])[alone],
        withdrawn=_others(then, both["image_id_before"])[alone],
        replaced=both.loc[
            new_bytes & (both["sha256_before"] != ""),
            ["image_id", "sha256_before", "sha256", "class_id"],
        ].reset_index(drop=True),
        moved=both.loc[
            both["image_id_before"] != both["image_id"], ["image_id_before", "image_id"]
        ].reset_index(drop=True),
        labels=pd.DataFrame(
            {
                "image_id": labels["image_id"],
                "sha256": labels["sha256"],
                "source": labels["source"],
                "before": labels["class_id_before"],
                "now": labels["class_id"],
                "by": _by_what(labels),
                "split": labels["split"],
            }
        ).reset_index(drop=True),
        left=both.loc[was_kept & ~is_kept, ["image_id", "class_id", "reason"]].reset_index(
            drop=True
        ),
        joined=both.loc[~was_kept & is_kept, ["image_id", "class_id", "reason_before"]]
        .rename(columns={"reason_before": "reason"})
        .reset_index(drop=True),
        n_before=len(before),
        n_now=len(now),
        n_kept_before=int((before["decision"] == "keep").sum()),
        n_kept_now=int((now["decision"] == "keep").sum()),
    )


def _paired(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """The images of both, each column twice: NAME_before, NAME."""
    then = before.add_suffix("_before")
    same = then.merge(now, left_on="image_id_before", right_on="image_id")

    # What has no namesake: the same bytes, the first copy with the first, the second with the second.
    lost = _others(before, same["image_id_before"])
    found = _others(now, same["image_id"])
    lost = lost[lost["sha256"] != ""]
    found = found[found["sha256"] != ""]
    moved = (
        lost.assign(copy=lost.groupby("sha256").cumcount())
        .add_suffix("_before")
        .merge(
            found.assign(
                copy_before=found.groupby("sha256").cumcount(), sha256_before=found["sha256"]
            ),
            on=["sha256_before", "copy_before"],
        )
        .drop(columns="copy_before")
    )
    both: pd.DataFrame = pd.concat([same, moved], ignore_index=True).sort_values(
        "image_id", kind="stable", ignore_index=True
    )
    return both


def _others(rows: pd.DataFrame, known: pd.Series) -> pd.DataFrame:
    return rows[~rows["image_id"].isin(known)].reset_index(drop=True)


def _by_what(labels: pd.DataFrame) -> pd.Series:
    """Who changed a label: an override, votes, the source itself, or the end of an override or of votes."""
    by = pd.Series("source", index=labels.index, dtype=object)
    same_source = labels["label_received_before"] == labels["label_received"]
    for settled in (VOTES, OVERRIDE):
        ended = (labels["label_source_before"] == settled) & same_source
        by = by.mask(ended, f"{settled} taken back")
    for settled in (VOTES, OVERRIDE):
        by = by.mask(labels["label_source"] == settled, settled)
    return by


def _texts(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), "").astype("str")
