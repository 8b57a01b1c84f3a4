"""review.parquet: what a person should look at, worst first."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

REVIEW = Table(
    name="review",
    version=1,
    meaning="one row per image and question",
    key=("kind", "rank"),
    columns=(
        Column(
            "kind",
            pa.string(),
            "label_issue, duplicate_conflict, need_more_votes, to_label, near_duplicate, near_review, outlier, "
            "quarantined or quality",
        ),
        Column("rank", pa.int32(), "1 is the most urgent of its kind"),
        Column("image_id", pa.string(), "as in members"),
        Column("sha256", pa.string(), "key for an override; empty without bytes", nullable=True),
        Column("given", pa.string(), "class it has now", nullable=True),
        Column("suggested", pa.string(), "class suggested instead", nullable=True),
        Column(
            "score",
            pa.float32(),
            "how sure the suggestion, or how doubtful the class, is, 0..1; of an outlier: ood_score",
            nullable=True,
        ),
        Column("note", pa.string(), "one sentence on why it is here"),
    ),
)
