"""explanations.parquet: why the model answers as it does, of a few test images."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

EXPLANATIONS = Table(
    name="explanations",
    version=1,
    meaning="one row per test image that the report explains",
    key=("image_id",),
    columns=(
        Column("image_id", pa.string(), "as in members"),
        Column(
            "place",
            pa.int32(),
            "order on the page: the most confident mistakes first, then right answers",
        ),
        Column("layer", pa.string(), "layer of the network whose cells the evidence lies in"),
        Column("height", pa.int32(), "number of rows of cells"),
        Column("width", pa.int32(), "number of columns of cells"),
        Column(
            "for_answer",
            pa.list_(pa.float32()),
            "evidence for the predicted class, row major: from 0, together 1; all 0 where nothing speaks for it",
        ),
        Column(
            "for_label",
            pa.list_(pa.float32()),
            "the same for the true class; empty where the answer is right",
        ),
        Column(
            "rank_correlation",
            pa.float32(),
            "of the first map with those of five networks with fresh weights, mean, -1..1; empty where it was not measured",
            nullable=True,
        ),
        Column(
            "nearest",
            pa.list_(pa.string()),
            "image_id of the training images most like it, best first; empty without features of its kind",
        ),
        Column("likeness", pa.list_(pa.float32()), "cosine of their features, up to 1"),
    ),
)
