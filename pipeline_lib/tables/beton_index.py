"""betons/<shard>.index.parquet: which image is which row of a beton."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

BETON_INDEX = Table(
    name="beton_index",
    version=2,
    meaning="one row per sample of a beton",
    key=("row",),
    columns=(
        Column("row", pa.int32(), "sample number in the beton, 0-based"),
        Column("image_id", pa.string(), "as in members"),
        Column(
            "checksum",
            pa.uint64(),
            "XXH3 (64 bits) of the bytes stored, mode and size; compared at every read",
        ),
    ),
)
