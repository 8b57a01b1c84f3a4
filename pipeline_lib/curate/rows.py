"""Everything found of each picture, in one frame: members joined with images, indexed by image_id.

All rooms of `curate` take this frame, or columns of it, and give Series with the same index; they are joined by that
index.
"""

from __future__ import annotations

import pandas as pd

FROM_IMAGES = (
    "refusal",
    "format",
    "width_px",
    "height_px",
    "exif_orientation",
    "has_gps",
    "n_frames",
    "ext_mismatch",
    "trailing_bytes",
    "on_black",
    "low_bits",
    "ends_grey",
    "pixel_hash",
    "phash",
    "phash_variants",
    "luminance_p1",
    "luminance_p50",
    "luminance_p99",
    "entropy_bit",
    "subject_bit",
    "blur_ratio",
)
TEXT = ("source", "shard", "sha256", "label_received", "split_received", "subject", "refusal", "format", "pixel_hash")


def join_rows(members: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """One row per member, sorted by image_id, with what its decode told; text as str, an absent value as NaN.

    `refusal` is the download's reason, else the decoder's. White space around a received label is not part of it.
    """
    found = images.set_index("image_id")[list(FROM_IMAGES)].rename(columns={"refusal": "decode_refusal"})
    rows = members.set_index("image_id").sort_index().join(found)
    rows = rows.astype(dict.fromkeys((*TEXT, "decode_refusal"), "str"))
    rows["refusal"] = rows["refusal"].fillna(rows["decode_refusal"])
    unseen = rows["refusal"].isna() & ~rows.index.isin(found.index)
    assert not unseen.any(), f"inspect says nothing of {rows.index[unseen][0]}"
    label = rows["label_received"].str.strip()
    rows["label_received"] = label.where(label != "")
    rows.index = rows.index.astype("str")
    return rows.drop(columns="decode_refusal")
