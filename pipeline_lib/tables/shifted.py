"""shifted.parquet: what the model said of images unlike the test split: corrupted ones, and extra test sets."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

SHIFTED = Table(
    name="shifted",
    version=1,
    meaning="one row per answer to a corrupted test image or to an image of an extra test set",
    key=("test_set", "image_id"),
    columns=(
        Column(
            "test_set",
            pa.string(),
            "extra/<source>, or corrupted/<kind>/<strength>, strength 1 to 3",
        ),
        Column("image_id", pa.string(), "as in members"),
        Column(
            "label",
            pa.int32(),
            "index of the true class in classes.csv; where several are acceptable, the first",
        ),
        Column("predicted", pa.int32(), "index of the most probable class"),
        Column("correct", pa.bool_(), "predicted is the true class, or one of the acceptable ones"),
        Column("p_predicted", pa.float32(), "calibrated probability of the predicted class, 0..1"),
    ),
)
