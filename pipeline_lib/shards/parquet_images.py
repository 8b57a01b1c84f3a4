"""Images inside Parquet files: found by the schema, and written into a tar once, row group by row group."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_lib.errors import ArchiveDamaged
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.found import Found
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.shards.sniff import DECODABLE, HEAD_BYTES, OTHER_IMAGES, sniff
from pipeline_lib.shards.tar_files import REMEDY, write_end, write_member
from pipeline_lib.sources.names import encode_name, refusal

MAGIC: Final = b"PAR1"
ROWS: Final = 64  # read at once; images of 1 MB need 64 MB
IMAGE_NAMES: Final = (
    "image",
    "img",
    "image_bytes",
    "bytes",
    "jpg",
    "jpeg",
    "png",
    "photo",
    "picture",
    "content",
)
ENDINGS: Final = {"jpeg": "jpg", "tiff": "tif", "netpbm": "ppm", "jpeg2000": "jp2", "jpegxl": "jxl"}
_ROW: Final = re.compile(r"(\d{7,})(?:-.*|\.\w+)?")


def image_column(schema: pa.Schema) -> str | None:
    """The column that holds images: struct<bytes, path> first, then bytes under a usual name; None for none."""
    structs = [
        one.name
        for one in schema
        if pa.types.is_struct(one.type)
        and one.type.get_field_index("bytes") >= 0
        and _is_bytes(one.type.field("bytes").type)
    ]
    plain = [one.name for one in schema if _is_bytes(one.type) and one.name.lower() in IMAGE_NAMES]
    return next(iter(sorted(structs, key=lambda name: name not in IMAGE_NAMES) + plain), None)


def member_row(name: str) -> int | None:
    """The row, from 0, of an image that `repack_parquet` named."""
    found = _ROW.fullmatch(name)
    return int(found[1]) if found else None


def repack_parquet(
    path: Path, target: BinaryIO, *, name: str, limits: ArchiveLimits
) -> list[Found]:
    """Write the images of a Parquet file into a tar, in the order of their rows: `0000012-their name.jpg`.

    A row without bytes is listed and not written. Raises ArchiveDamaged for what is no such file, BadData when it holds
    more than `limits` allow.
    """
    received_bytes, unpacked_bytes = path.stat().st_size, 0
    limits.refuse_bomb(_promised_bytes(path, name), received_bytes=received_bytes, name=name)
    found = []
    for row, (data, given) in enumerate(_images(path, name)):
        reason = _refusal(data, limits)
        stored = name_of_row(row, given, data or b"")
        if reason or data is None:
            found.append(Found(stored, -1, len(data or b""), reason or Reason.EMPTY))
            continue
        unpacked_bytes += len(data)
        limits.refuse_bomb(unpacked_bytes, received_bytes=received_bytes, name=name)
        found.append(Found(stored, write_member(target, stored, data), len(data)))
    write_end(target)
    return found


def first_images(open_file: Callable[[], BinaryIO], name: str) -> Iterator[tuple[bytes, str]]:
    """Bytes and own name of the images of the first rows, one reading's worth."""
    with _guarded(name), open_file() as file, pq.ParquetFile(file) as opened:
        column = _column(opened, name)
        for batch in opened.iter_batches(ROWS, columns=[column]):
            for data, given in map(_bytes_and_name, batch.column(0).to_pylist()):
                yield data or b"", given
            return


def names_after(
    open_file: Callable[[], BinaryIO], name: str, *, start: int
) -> Iterator[tuple[int, str]]:
    """Row and own name of the images from a row on; no bytes of images are read."""
    with _guarded(name), open_file() as file, pq.ParquetFile(file) as opened:
        kind = opened.schema_arrow.field(_column(opened, name)).type
        if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
            yield from ((row, "") for row in range(start, opened.metadata.num_rows))
            return
        row = 0
        for batch in opened.iter_batches(8192, columns=[f"{_column(opened, name)}.path"]):
            for cell in batch.column(0).to_pylist():
                if row >= start:
                    yield row, _bytes_and_name(cell)[1]
                row += 1


def _column(opened: pq.ParquetFile, name: str) -> str:
    column = image_column(opened.schema_arrow)
    if column is None:
        names = ", ".join(opened.schema_arrow.names)
        raise _damaged(name, f"no column of image bytes among {names}")
    return column


@contextmanager
def _guarded(name: str) -> Iterator[None]:
    try:
        yield
    except pa.ArrowException as error:
        raise _damaged(name, str(error)) from error
    except OSError as error:
        if error.errno is not None:  # the disk, not the file
            raise
        raise _damaged(name, str(error)) from error


def _promised_bytes(path: Path, name: str) -> int:
    """What the footer says that the file unpacks to, before a page of it is unpacked."""
    with _guarded(name), pq.ParquetFile(path) as opened:
        groups = (opened.metadata.row_group(at) for at in range(opened.metadata.num_row_groups))
        return sum(int(group.total_byte_size) for group in groups)


def _images(path: Path, name: str) -> Iterator[tuple[bytes | None, str]]:
    """Bytes and own name of the image of each row."""
    with _guarded(name), pq.ParquetFile(path) as opened:
        for batch in opened.iter_batches(ROWS, columns=[_column(opened, name)]):
            yield from map(_bytes_and_name, batch.column(0).to_pylist())


def _bytes_and_name(cell: Any) -> tuple[bytes | None, str]:
    if isinstance(cell, dict):
        return cell.get("bytes"), str(cell.get("path") or "").replace("\\", "/").rpartition("/")[2]
    return cell, ""


def name_of_row(row: int, given: str, data: bytes) -> str:
    """Row first, so that names are unique and in order. The ending is that of the bytes where they have none."""
    if given and refusal(given) is None:
        return encode_name(f"{row:07}-{given}".encode("utf-8", "surrogateescape"))
    kind = sniff(data[:HEAD_BYTES])
    ending = ENDINGS.get(kind, kind) if kind in (*DECODABLE, *OTHER_IMAGES) else ""
    return f"{row:07}.{ending}" if ending else f"{row:07}"


def _refusal(data: bytes | None, limits: ArchiveLimits) -> Reason | None:
    if not data:
        return Reason.EMPTY
    return Reason.FILE_TOO_LARGE if len(data) > limits.max_file_bytes else None


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _damaged(name: str, detail: str) -> ArchiveDamaged:
    return ArchiveDamaged("not a Parquet file of images", file=name, value=detail, remedy=REMEDY)
