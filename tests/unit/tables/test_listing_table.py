"""The listing of an earlier release is still good for what its columns say."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_lib.errors import BadData
from pipeline_lib.tables.listing import LISTING, read_listing_of_any_version


def write_listing(path: Path, version: int) -> Path:
    """As version 2 had it: with dates, and without checksums of local files."""
    columns = {
        "source": ["pics", "pics"],
        "kind": ["image", "image"],
        "key": ["a.jpg", "b.jpg"],
        "size_bytes": [1, 2],
        "modified_ns": [5, 7],
        "etag": ["e", None],
        "checksum": pa.nulls(2, pa.string()),
        "fault": pa.nulls(2, pa.string()),
    }
    metadata = {"perennial.table": "listing", "perennial.version": str(version)}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    return path


def test_etags_and_sizes_of_version_2_are_read_and_its_dates_are_not(tmp_path: Path) -> None:
    frame = read_listing_of_any_version(write_listing(tmp_path / "old.parquet", 2))

    assert list(frame.columns) == [column.name for column in LISTING.columns]
    assert frame["size_bytes"].tolist() == [1, 2] and frame["etag"].tolist()[0] == "e"
    assert frame["checksum"].isna().all()


def test_a_listing_of_todays_version_and_of_an_unknown_one(tmp_path: Path) -> None:
    LISTING.write(LISTING.empty(), tmp_path / "now.parquet")

    assert read_listing_of_any_version(tmp_path / "now.parquet").empty
    with pytest.raises(BadData, match="not a listing table of version 3"):
        read_listing_of_any_version(write_listing(tmp_path / "other.parquet", 1))
