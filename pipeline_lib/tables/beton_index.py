"""betons/<shard>.index.parquet: which picture is which row of a beton."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

BETON_INDEX = Table(
    name="beton_index",
    version=1,
    meaning="one row per sample of a beton",
    key=("row",),
    columns=(
        Column("row", pa.int32(), "sample number in the beton, 0-based"),
        Column("image_id", pa.string(), "as in members"),
    ),
)
