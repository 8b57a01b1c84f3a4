"""Images inside Parquet files: written into a tar once, within the limits of archives, in bounded memory."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_lib.errors import ArchiveDamaged, BadData
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.shards.parquet_images import image_column, repack_parquet
from testing.images import encoded, photo

LIMITS = ArchiveLimits(max_file_bytes=10_000_000, max_unpacked_bytes=1 << 40, max_ratio=200)
PHOTO = encoded(photo(), "JPEG")


def write(path: Path, cells: list[Any], *, rows: int = 4, **more: Any) -> Path:
    table = pa.table({"image": cells, **more})
    pq.write_table(table, path, row_group_size=rows, compression="zstd")
    return path


def test_rows_become_members_in_their_order_and_what_is_none_is_listed(tmp_path: Path) -> None:
    cells = [
        {"bytes": PHOTO, "path": "a/b/cat 1.jpg"},
        {"bytes": PHOTO, "path": None},
        {"bytes": None, "path": "gone.jpg"},
        {"bytes": b"x" * 20_000_000, "path": "large.jpg"},
        {"bytes": PHOTO, "path": "notes.txt"},
    ]
    target = io.BytesIO()

    found = repack_parquet(write(tmp_path / "p", cells), target, name="p", limits=LIMITS)

    assert [(one.name, one.fault) for one in found] == [
        ("0000000-cat 1.jpg", None),
        ("0000001.jpg", None),
        ("0000002-gone.jpg", Reason.EMPTY),
        ("0000003-large.jpg", Reason.FILE_TOO_LARGE),
        ("0000004.jpg", None),
    ]
    taken = [one for one in found if one.fault is None]
    data = target.getvalue()
    assert all(data[one.offset_bytes :][: one.size_bytes] == PHOTO for one in taken)


def test_a_file_that_is_cut_or_holds_no_images_is_named(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", [{"bytes": PHOTO, "path": None}] * 50)
    cut = tmp_path / "cut"
    cut.write_bytes(whole.read_bytes()[:-100])
    other = tmp_path / "other"
    pq.write_table(pa.table({"x": [1]}), other)

    for path, detail in ((cut, "magic bytes|footer"), (other, "no column of image bytes among x")):
        with pytest.raises(ArchiveDamaged, match=f"not a Parquet file of images .*({detail})"):
            repack_parquet(path, io.BytesIO(), name=path.name, limits=LIMITS)


def test_a_file_that_promises_more_than_is_allowed_is_refused_before_it_is_unpacked(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "bomb", [{"bytes": bytes(100_000), "path": "a.jpg"}] * 40)
    limits = ArchiveLimits(max_file_bytes=10_000_000, max_unpacked_bytes=50_000, max_ratio=200)

    with pytest.raises(BadData, match="the archive unpacks to more than 50000 bytes"):
        repack_parquet(path, io.BytesIO(), name="bomb", limits=limits)


def test_the_usual_columns_of_images_are_found() -> None:
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

    assert image_column(pa.schema([("mask", struct), ("image", struct)])) == "image"
    assert image_column(pa.schema([("img", pa.binary()), ("label", pa.int64())])) == "img"
    assert image_column(pa.schema([("embedding", pa.binary()), ("x", pa.int64())])) is None


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    cells = [{"bytes": bytes([n % 251]) * 100_000, "path": f"{n}.jpg"} for n in range(300)]
    path = write(tmp_path / "many", cells, rows=100)
    del cells

    tracemalloc.start()
    before = pa.total_allocated_bytes()
    with (tmp_path / "out").open("wb") as target:
        repack_parquet(path, target, name="many", limits=LIMITS)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak_bytes < 15_000_000
    assert pa.total_allocated_bytes() - before < 1_000_000
