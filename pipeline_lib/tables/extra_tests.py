"""selection/extra.parquet: the images of extra test sets, with every class that is right for them."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

EXTRA_TESTS = Table(
    name="extra_tests",
    version=1,
    meaning="one row per kept image of an extra test set (role: test); empty where there is none",
    key=("image_id",),
    columns=(
        Column("image_id", pa.string(), "as in members"),
        Column("test_set", pa.string(), "name of its source"),
        Column(
            "labels",
            pa.list_(pa.int32()),
            "indices in classes.csv of all classes that are right for the image, at least one",
        ),
        Column("class_ids", pa.list_(pa.string()), "the classes, in the same order"),
        Column(
            "restricted",
            pa.bool_(),
            "whether predictions are chosen among the classes of the set's rows only; the same for the whole set",
        ),
    ),
)
