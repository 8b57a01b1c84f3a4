"""listing.parquet: what the sources hold, before a byte of it is read."""

import pyarrow as pa

from pipeline_lib.tables.table import Column, Table

LISTING = Table(
    name="listing",
    version=2,
    meaning="one row per object (file or S3 key) of every source, in canonical order",
    key=("source", "kind", "key"),
    columns=(
        Column("source", pa.string(), "name of the source, as in params.yaml"),
        Column(
            "kind",
            pa.string(),
            "archive (tar, zip), image (a loose file), labels, votes or subjects (a CSV beside the pictures)",
        ),
        Column(
            "key",
            pa.string(),
            "path of the object below the source's address; percent-encoded where it is not UTF-8",
        ),
        Column("size_bytes", pa.int64(), "size"),
        Column(
            "modified_ns",
            pa.int64(),
            "last modification, nanoseconds since 1970 UTC; S3 gives whole seconds",
        ),
        Column(
            "etag",
            pa.string(),
            "S3's ETag without quotes: names a version, not always an md5",
            nullable=True,
        ),
        Column(
            "checksum", pa.string(), "algorithm:value where the source states one", nullable=True
        ),
        Column(
            "fault",
            pa.string(),
            "reason code of a file that is there and cannot be read",
            nullable=True,
        ),
    ),
)
