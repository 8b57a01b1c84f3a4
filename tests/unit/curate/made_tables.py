"""Small made-up tables for `curate`: images by name, each unlike every other unless told otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline_lib.curate.classes import parse_class_words
from pipeline_lib.curate.inputs import Inputs, join_rows
from pipeline_lib.curate.overrides import parse_overrides
from pipeline_lib.inspect.small_view import small_view
from pipeline_lib.tables.features import FEATURES
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.table import Table
from pipeline_lib.tables.votes import VOTES

HEADER = "key_type,key,action,value,expected_old,reason,author,date\n"
WORDS_HEADER, CLASS_WORDS = "class_id,name,definition,parents\n", Path("curation/classes.csv")
OVERRIDES, MANIFEST = Path("curation/overrides.csv"), Path("line/curate/manifest.parquet")


@dataclass(frozen=True)
class MadeImage:
    """One image: `looks` decides on its bytes and pixels (two with the same looks are copies), `details` on its
    thumbnail.
    """

    image_id: str
    label: str | None = "cat"
    split: str | None = None
    looks: str = ""
    details: str = ""
    subject: str | None = None
    refusal: str | None = None
    source: str = "s"
    side_px: int = 200
    image: Mapping[str, object] = field(default_factory=dict)
    vector: tuple[float, ...] = (0.0, 1.0)

    def member(self) -> dict[str, object]:
        return {
            "image_id": self.image_id,
            "source": self.source,
            "shard": "abc",
            "size_bytes": 1000,
            "sha256": digest(self.looks or self.image_id, 32),
            "label_received": self.label,
            "split_received": self.split,
            "subject": self.subject,
            "refusal": self.refusal,
        }

    def row(self) -> dict[str, object]:
        looks = self.looks or self.image_id
        found = {
            "image_id": self.image_id,
            "shard": "abc",
            "row_in_shard": 0,
            "format": "jpeg",
            "width_px": self.side_px,
            "height_px": self.side_px,
            "exif_orientation": 1,
            "has_gps": False,
            "n_frames": 1,
            "ext_mismatch": False,
            "trailing_bytes": 0,
            "on_black": False,
            "low_bits": False,
            "ends_grey": False,
            "pixel_hash": digest(looks, 16),
            "phash": int(digest(looks, 8), 16),
            "phash_variants": [
                int(digest(f"{looks} {part}", 8), 16)
                for part in ("95", "90", "85", "80", "uncut", "middle")
            ],
            "luminance_p1": 5,
            "luminance_p50": 100,
            "luminance_p99": 250,
            "entropy_bit": 7.0,
            "subject_bit": 5.0,
            "blur_ratio": 0.1,
            "least_sharpness": 2.2,
            "clipped_share": 0.01,
            "white_share": 0.0,
        }
        return {**found, **self.image}

    def features(self) -> dict[str, Any]:
        looks = self.details or self.looks or self.image_id
        noise = np.random.default_rng(int(digest(looks, 4), 16)).integers(
            0, 256, 1024, dtype=np.uint8
        )
        vector = np.array(self.vector, dtype=np.float32)
        view = small_view(
            noise.reshape(32, 32)[:, :, None].repeat(3, axis=2).repeat(3, axis=0).repeat(3, axis=1)
        )
        shown = {"thumbnail": noise.tobytes(), "view": view}
        return {"image_id": self.image_id, "kind": "pixels", "vector": vector, **shown}


def digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def make_found(
    images: Sequence[MadeImage],
    *,
    votes: Sequence[tuple[str, str, str]] = (),
    overrides: str = "",
    class_words: str = "",
) -> Inputs:
    """votes: (image_id, annotator, label). overrides, class_words: lines below the header."""
    decoded = [image for image in images if image.refusal is None]
    sound = [image for image in decoded if image.row().get("refusal") is None]
    return Inputs(
        members=typed([image.member() for image in images], MEMBERS),
        images=typed([image.row() for image in decoded], IMAGES),
        votes=typed(
            [dict(zip(("image_id", "annotator", "label"), vote, strict=True)) for vote in votes],
            VOTES,
        ),
        features=typed([image.features() for image in sound], FEATURES),
        views=lambda image_ids: {
            one.image_id: one.features()["view"] for one in sound if one.image_id in image_ids
        },
        overrides=parse_overrides(HEADER + overrides, OVERRIDES),
        class_words=parse_class_words(WORDS_HEADER + class_words, CLASS_WORDS),
        overrides_file=OVERRIDES,
        manifest_file=MANIFEST,
    )


def make_rows(images: Sequence[MadeImage]) -> pd.DataFrame:
    """The joined rows of some images."""
    found = make_found(images)
    return join_rows(found.members, found.images)


def typed(records: list[dict[str, Any]], table: Table) -> pd.DataFrame:
    """Records as a frame with the table's columns and types, as reading a written table gives them."""
    empty = table.empty()
    frame = pd.DataFrame(records, columns=list(empty.columns), dtype=object)
    return frame.astype(
        {name: kind for name, kind in empty.dtypes.items() if kind is not np.dtype(object)}
    )
