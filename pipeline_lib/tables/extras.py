"""extras.parquet: what files of labels say of an image beside its class and split."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

EXTRAS = Table(
    name="extras",
    version=1,
    meaning="one row per image of which a file of labels says more than class and split; carried along, not used",
    key=("image_id",),
    columns=(
        Column("image_id", pa.string(), "as in members"),
        Column(
            "extras",
            pa.string(),
            "JSON object: the other columns of the table by name, or box and boxes (pixels) of the annotations",
        ),
    ),
)
