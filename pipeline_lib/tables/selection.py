"""selection/{train,val,test}.parquet: the rows to use, their class and weight."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

SELECTION = Table(
    name="selection",
    version=1,
    meaning="the kept rows of one split",
    key=("image_id",),
    columns=(
        Column("image_id", pa.string(), "as in members"),
        Column("label", pa.int32(), "index of the class in classes.csv, 0-based"),
        Column("class_id", pa.string(), "the class"),
        Column("weight", pa.float32(), "weight of the row in the loss, mean 1 over train"),
    ),
)
