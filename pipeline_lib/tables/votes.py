"""votes.parquet: what each annotator said of each image."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

VOTES = Table(
    name="votes",
    version=1,
    meaning="one row per vote",
    key=("image_id", "annotator"),
    columns=(
        Column("image_id", pa.string(), "the picture voted on"),
        Column("annotator", pa.string(), "who voted; names are the source's"),
        Column("label", pa.string(), "the class they chose"),
    ),
)
