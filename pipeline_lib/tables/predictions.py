"""predictions.parquet: what the model said of each image. The other table that all else reads."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

PREDICTIONS = Table(
    name="predictions",
    version=1,
    meaning="one row per evaluated image (test and val)",
    key=("image_id",),
    columns=(
        Column("image_id", pa.string(), "as in members"),
        Column("split", pa.string(), "val or test"),
        Column("label", pa.int32(), "index of the true class in classes.csv"),
        Column("predicted", pa.int32(), "index of the most probable class"),
        Column("correct", pa.bool_(), "predicted = label"),
        Column("p_label", pa.float32(), "calibrated probability of the true class, 0..1"),
        Column("p_predicted", pa.float32(), "calibrated probability of the predicted class, 0..1"),
        Column("loss", pa.float32(), "-ln p_label, nats"),
        Column(
            "top_classes",
            pa.list_(pa.int32()),
            "the five most probable classes, best first (fewer when there are fewer)",
        ),
        Column("top_p", pa.list_(pa.float32()), "their probabilities"),
    ),
)
