"""members.parquet: every image as received, and where its bytes lie."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

MEMBERS = Table(
    name="members",
    version=1,
    meaning="one row per file found in the sources; bytes = read `size_bytes` at `offset_bytes` of `container`",
    key=("image_id",),
    columns=(
        Column(
            "image_id",
            pa.string(),
            "<source>/<member path>, percent-encoded; the key of every other table",
        ),
        Column("source", pa.string(), "name of the source"),
        Column(
            "shard",
            pa.string(),
            "16 hex digits of the digest of the shard's ordered (member, sha256) list; empty for a refused member",
            nullable=True,
        ),
        Column("row_in_shard", pa.int32(), "position in the shard, 0-based", nullable=True),
        Column("container", pa.string(), "file below shards/ that holds the bytes", nullable=True),
        Column("offset_bytes", pa.int64(), "where they begin in it", nullable=True),
        Column("size_bytes", pa.int64(), "how many they are"),
        Column("sha256", pa.string(), "of the bytes, hex; the content key", nullable=True),
        Column(
            "label_received",
            pa.string(),
            "class as the source gives it (folder name, or its labels file); empty when it gives none",
            nullable=True,
        ),
        Column(
            "split_received",
            pa.string(),
            "train, val or test where the source publishes splits",
            nullable=True,
        ),
        Column(
            "subject",
            pa.string(),
            "person or thing shown, from the subjects file: never split over train and test",
            nullable=True,
        ),
        Column(
            "refusal",
            pa.string(),
            "reason code when the member was not taken (system file, unsafe name, ...)",
            nullable=True,
        ),
    ),
)
