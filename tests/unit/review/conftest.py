"""A small line with doubtful images: GPS, copies, a broken file, and names that must not run as code."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.review import REVIEW
from pipeline_lib.tables.table import Table
from pipeline_lib.tables.votes import VOTES

EVIL = "<script>window.pwned=1</script>"
FORMULA = "=cmd|'/c calc'!A0"
CAT, DOG = "cat", "dog"


def photo(shade: int) -> bytes:
    """A JPEG with a position and a maker in its EXIF."""
    exif = Image.Exif()
    exif[0x010F] = "SecretMaker"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 29.6)
    buffer = io.BytesIO()
    pixels_HWC = np.random.default_rng(shade).integers(0, 256, (300, 260, 3), dtype=np.uint8)
    Image.fromarray(pixels_HWC).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


FOUND = [  # image_id, sha256, class, split, duplicate group, kind, decision, reason
    (f"s/{EVIL}.jpg", "a1", CAT, "train", None, None, "keep", None),
    ("s/formula.jpg", "a2", FORMULA, "train", None, None, "keep", None),
    ("s/copy.jpg", "a3", DOG, None, "s/copy.jpg", "near", "remove", "leak_train_eval"),
    ("s/original.jpg", "a4", DOG, "test", "s/copy.jpg", "near", "keep", None),
    ("s/twin1.jpg", "a5", DOG, "test", "s/twin1.jpg", "bytes", "keep", None),
    ("s/twin2.jpg", "a5", CAT, "test", "s/twin1.jpg", "bytes", "keep", None),
    ("s/broken.jpg", "a6", CAT, None, None, None, "quarantine", "decode_truncated"),
]
QUEUE = [  # kind, rank, image_id, given, suggested, score, note
    (
        "label_issue",
        1,
        f"s/{EVIL}.jpg",
        CAT,
        DOG,
        0.9,
        "looks like dog out of sample; still used; decide",
    ),
    ("label_issue", 2, "s/formula.jpg", FORMULA, CAT, 0.4, "a weak suspicion"),
    (
        "duplicate_conflict",
        1,
        "s/twin1.jpg",
        DOG,
        None,
        None,
        "copies of this image have the classes cat, dog",
    ),
    ("near_duplicate", 1, "s/copy.jpg", DOG, None, None, "left out as nearly the same image"),
    ("quarantined", 1, "s/broken.jpg", CAT, None, None, "left out: decode truncated"),
    ("something_new", 1, "s/original.jpg", DOG, None, None, "a kind that came later"),
]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The artifacts, by role."""
    folder = tmp_path_factory.mktemp("line")
    roles = {
        name: folder / f"{name}.parquet"
        for name in ("review", "manifest", "votes", "images", "members")
    }
    roles |= {
        "classes": folder / "classes.csv",
        "shards": folder / "shards",
        "pixel_rules": folder / "pixel_rules.json",
    }
    roles["pixel_rules"].write_text("{}")
    roles["classes"].write_text(
        f'label,class_id,name\n0,"{FORMULA}",formula\n1,cat,cat\n2,dog,dog\n'
    )
    data = [photo(i) for i in range(6)] + [b"\xff\xd8broken"]
    roles["shards"].mkdir()
    (roles["shards"] / "a.bin").write_bytes(b"".join(data))
    columns = [
        "image_id",
        "sha256",
        "class_id",
        "split",
        "dup_group",
        "dup_kind",
        "decision",
        "reason",
    ]
    manifest = pd.DataFrame(FOUND, columns=columns)
    sizes = [len(one) for one in data]
    facts: dict[str, Any] = {
        "source": "s",
        "shard": "abc",
        "size_bytes": sizes,
        "label_received": manifest["class_id"],
    }
    rest: dict[str, Any] = {
        "n_votes": 0,
        "label_issue": "none",
        "group_id": "g",
        "flags": [[]] * len(data),
        "decided_by": "rule",
    }
    manifest = manifest.assign(**facts, **rest)
    for column, cell in (("label_suggested", DOG), ("p_given", 0.05), ("p_suggested", 0.92)):
        manifest.loc[0, column] = cell
    write(MANIFEST, manifest, roles["manifest"])
    offsets = np.cumsum([0, *sizes[:-1]])
    members = manifest[["image_id", "source", "shard", "size_bytes", "sha256", "label_received"]]
    members = members.assign(row_in_shard=range(len(data)), container="a.bin", offset_bytes=offsets)
    write(MEMBERS, members, roles["members"])
    refusal = manifest["reason"].where(manifest["decision"] == "quarantine")
    write(
        IMAGES,
        members[["image_id", "shard", "row_in_shard"]].assign(refusal=refusal),
        roles["images"],
    )
    queue = pd.DataFrame(
        QUEUE, columns=["kind", "rank", "image_id", "given", "suggested", "score", "note"]
    )
    write(REVIEW, queue.merge(manifest[["image_id", "sha256"]]), roles["review"])
    votes = [(f"s/{EVIL}.jpg", "ana", CAT), (f"s/{EVIL}.jpg", "<b>ben</b>", DOG)]
    write(VOTES, pd.DataFrame(votes, columns=["image_id", "annotator", "label"]), roles["votes"])
    return roles


def write(table: Table, frame: pd.DataFrame, path: Path) -> None:
    """Write a table, with empty cells in the columns that the frame does not have."""
    absent = {column.name: None for column in table.columns if column.name not in frame}
    table.write(frame.assign(**absent), path)
