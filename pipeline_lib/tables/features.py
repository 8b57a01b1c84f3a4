"""features/<shard>.parquet: a vector per picture, for label issues and duplicates of small images."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

FEATURES = Table(
    name="features",
    version=1,
    meaning="one row per decodable picture of a shard",
    key=("image_id",),
    columns=(
        Column("image_id", pa.string(), "as in members"),
        Column(
            "kind",
            pa.string(),
            "pixels (grey, small images) or embedding:<first 12 hex digits of the weight file's sha256>",
        ),
        Column("thumbnail", pa.binary(), "canonical pixels, grey uint8, 32x32, row major: duplicates of small images"),
        Column(
            "vector",
            pa.list_(pa.float32()),
            "features for the label-issue predictors: HOG of the pixels, or the embedding",
        ),
    ),
)
