"""selection/unlabelled.parquet: images without a class that training may learn from."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

UNLABELLED = Table(
    name="unlabelled",
    version=1,
    meaning="one row per training image without a class, no two of them copies; empty unless curate.learn_unlabelled",
    key=("image_id",),
    columns=(Column("image_id", pa.string(), "as in members"),),
)
