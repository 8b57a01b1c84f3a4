"""soft_labels.parquet: how sure the votes are of each class, for training on degrees of belief and for reviewers."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

SOFT_LABELS = Table(
    name="soft_labels",
    version=1,
    meaning="one row per image that was voted on and class that somebody (or the label received) named",
    key=("image_id", "class_id"),
    columns=(
        Column("image_id", pa.string(), "as in members"),
        Column("class_id", pa.string(), "the class named"),
        Column(
            "probability",
            pa.float32(),
            "posterior of the votes, 0..1; the classes that nobody named for the picture share the rest evenly",
        ),
    ),
)
