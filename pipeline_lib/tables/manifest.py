"""manifest.parquet: what we know of each image, and what was decided. One of the two tables that all else reads."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

SPLITS = ("train", "val", "test")
EXTRA = "extra"  # the split of the images of extra test sets, which is no split of the others

MANIFEST = Table(
    name="manifest",
    version=1,
    meaning="one row per file ever found in the sources, kept or not",
    key=("image_id",),
    columns=(
        Column("image_id", pa.string(), "as in members"),
        Column("source", pa.string(), "name of the source"),
        Column(
            "sha256",
            pa.string(),
            "of the bytes as received; overrides name pictures by it",
            nullable=True,
        ),
        Column("shard", pa.string(), "shard that holds the bytes", nullable=True),
        Column("size_bytes", pa.int64(), "size as received"),
        Column("format", pa.string(), "format of the bytes", nullable=True),
        Column("width_px", pa.int32(), "after the orientation policy", nullable=True),
        Column("height_px", pa.int32(), "after the orientation policy", nullable=True),
        Column("label_received", pa.string(), "class as received", nullable=True),
        Column(
            "class_id", pa.string(), "class decided on; empty when there is none", nullable=True
        ),
        Column("label_source", pa.string(), "received, votes or override", nullable=True),
        Column(
            "label_confidence",
            pa.float32(),
            "posterior of the aggregated votes, 0..1; empty without votes",
            nullable=True,
        ),
        Column("n_votes", pa.int32(), "votes cast on it"),
        Column("label_issue", pa.string(), "none, review or auto (left out of training)"),
        Column(
            "p_given",
            pa.float32(),
            "calibrated out-of-sample probability of the decided class, from the image alone, 0..1",
            nullable=True,
        ),
        Column(
            "label_suggested",
            pa.string(),
            "class most probable out of sample",
            nullable=True,
        ),
        Column("p_suggested", pa.float32(), "and its probability, 0..1", nullable=True),
        Column(
            "label_doubt",
            pa.float32(),
            "probability that the decided class is wrong, 0..1; ranks the review",
            nullable=True,
        ),
        Column(
            "al_rank",
            pa.int32(),
            "1: label it next (rows without a class), or look at its class next (rows with one); two lists",
            nullable=True,
        ),
        Column(
            "ood_score",
            pa.float32(),
            "how much farther from its class than usual, in spreads (docs/labels.md); negative: nearer",
            nullable=True,
        ),
        Column(
            "dup_group",
            pa.string(),
            "smallest image_id of the duplicates it belongs to; empty when it has none",
            nullable=True,
        ),
        Column("dup_kind", pa.string(), "bytes, pixels or near", nullable=True),
        Column("subject", pa.string(), "as in members", nullable=True),
        Column(
            "group_id",
            pa.string(),
            "what the split hashes: the subject, else the pixels; its kept rows share a split",
        ),
        Column(
            "split",
            pa.string(),
            "train, val or test, or extra (an extra test set); empty unless kept",
            nullable=True,
        ),
        Column("weight", pa.float32(), "weight in training; empty unless kept", nullable=True),
        Column("decision", pa.string(), "keep, quarantine or remove"),
        Column("reason", pa.string(), "primary reason code; empty when kept", nullable=True),
        Column("flags", pa.list_(pa.string()), "all reason codes and remarks that apply, sorted"),
        Column("decided_by", pa.string(), "rule, votes or override"),
    ),
)
