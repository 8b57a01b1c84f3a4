"""features/<shard>.parquet: a vector per image, for label issues and duplicates of small images."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

FEATURES = Table(
    name="features",
    version=2,
    meaning="one row per usable image of a shard (no refusal)",
    key=("image_id",),
    columns=(
        Column("image_id", pa.string(), "as in members"),
        Column(
            "kind",
            pa.string(),
            "hog (gradients of the grey picture at 64x64) or embedding:<first 12 hex digits of the weights' sha256>",
        ),
        Column(
            "thumbnail",
            pa.binary(),
            "the whole picture, grey uint8, 32x32, row major: duplicates of small images",
        ),
        Column(
            "vector",
            pa.list_(pa.float32()),
            "features for the label-issue predictors; comparable among pictures of one kind",
        ),
        Column(
            "view",
            pa.binary(),
            "the whole picture in colour at 96x96 px, as JPEG: the closer look at copies; empty where a side is under "
            "64 px",
            nullable=True,
        ),
    ),
)
