"""listing.parquet: what the sources hold, before a byte of it is read."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_lib.tables.table import Column, Table

LISTING = Table(
    name="listing",
    version=3,
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
            "etag",
            pa.string(),
            "a server's ETag without quotes: names a version, not always an md5",
            nullable=True,
        ),
        Column(
            "checksum",
            pa.string(),
            "sha256:<hex> of the bytes of a local file; dates are no part of the listing",
            nullable=True,
        ),
        Column(
            "fault",
            pa.string(),
            "reason code of a file that is there and cannot be read",
            nullable=True,
        ),
    ),
)


def read_listing_of_any_version(path: Path) -> pd.DataFrame:
    """Read the listing of an earlier run, maybe of an earlier release; columns that it has not are empty.

    Raises BadData when it is no listing at all.
    """
    metadata = pq.read_schema(path).metadata or {}
    if metadata.get(b"perennial.table") == b"listing" and metadata[b"perennial.version"] == b"2":
        old = pq.read_table(path, columns=["source", "kind", "key", "size_bytes", "etag", "fault"])
        types = {column.name: pd.ArrowDtype(column.type) for column in LISTING.columns}
        frame: pd.DataFrame = old.to_pandas().reindex(columns=list(types)).astype(types)
        return frame
    return LISTING.read(path)
