"""Read the rows of tables of labels: CSV with any usual separator, JSON, JSON Lines and Parquet, in bounded memory."""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_lib.errors import BadData
from pipeline_lib.labels.blank_tables import blank_table
from pipeline_lib.labels.headerless import columns_of, is_about_an_image
from pipeline_lib.labels.json_tables import Row, json_lines, json_records
from pipeline_lib.labels.nested import Path, paths_inside, value_inside

DELIMITERS = ",;\t|"
SEPARATOR_LINE = re.compile('"?sep=."?')  # Excel's, above the names of the columns
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# MATLAB 5 and 7.3, an old spreadsheet; a new one is a zip
OTHER_TABLES = (b"MATLAB", b"\x89HDF", b"\xd0\xcf\x11\xe0", b"PK\3\4")
EXPORT = "export it as CSV with a line per image and the columns filename,label"
PARQUET_ROWS = 8192
NAMED_BY = 200  # records whose keys or cells are taken for the columns
NO_COLUMN = ("", "__index_level_0__")


@dataclass(frozen=True)
class TableFile:
    """A table. rows: begins anew at each call. unit: what the numbers count. inside: columns in objects of JSON, with the
    keys to them.
    """

    names: tuple[str, ...]
    rows: Callable[[], Iterator[Row]]
    unit: str
    where: str  # of the names, for messages
    inside: Mapping[str, Path] = field(default_factory=dict)

    def value(self, cells: Mapping[str, Any], column: str | None) -> Any:
        """The cell of a column in a row; "" for none."""
        if column and column in self.inside:
            return cell(value_inside(cells, self.inside[column]))
        return cells.get(column, "") if column else ""


def read_table(open_file: Callable[[], BinaryIO], *, name: str) -> TableFile:
    """Open a table; its name's ending, or else its beginning, tells its kind. Raises BadData for what is none."""
    with open_file() as file:
        head = file.read(4096)
    if head.startswith(OTHER_TABLES):
        raise BadData(
            "not a table that is read here", file=name, value=sniff_table(head), remedy=EXPORT
        )
    if head.startswith(b"PAR1") or name.lower().endswith(".parquet"):
        return _parquet(open_file, name)
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    if name.lower().endswith((".jsonl", ".ndjson", ".manifest")):
        return _json(open_file, name, json_lines)
    if name.lower().endswith(".json") or start in (b"{", b"["):
        return _json(open_file, name, json_records)
    return _csv(open_file, name)


def sniff_table(head: bytes) -> str:
    """What a file is that is no table for us."""
    kinds = ("a MATLAB file", "a MATLAB or HDF5 file", "a spreadsheet", "a spreadsheet or zip")
    return kinds[next(at for at, start in enumerate(OTHER_TABLES) if head.startswith(start))]


def _csv(open_file: Callable[[], BinaryIO], name: str) -> TableFile:
    with _text(open_file, name) as text:
        first = _guarded(text.readline, open_file, name).rstrip("\r\n")
        n_above = int(bool(SEPARATOR_LINE.fullmatch(first)))
        if n_above:
            first = _guarded(text.readline, open_file, name).rstrip("\r\n")
    headers = [
        (sign, tuple(cell.strip() for cell in next(csv.reader([first], delimiter=sign), [])))
        for sign in DELIMITERS
    ]
    delimiter, names = max(headers, key=lambda header: len(header[1]))
    if len(names) == 1 and (table := blank_table(open_file, name)):
        return TableFile(table.names, table.rows, "line", f"{name}:{table.line}")
    has_header = not is_about_an_image(names)

    def lines() -> Iterator[tuple[int, list[str]]]:
        with _text(open_file, name) as text:
            for _ in range(n_above):
                text.readline()
            reader = csv.reader(text, delimiter=delimiter, strict=True)
            try:
                if has_header:
                    next(reader, None)
                for cells in reader:
                    if any(cell.strip() for cell in cells):
                        yield reader.line_num + n_above, cells
            except csv.Error as error:
                where = f"{name}:{reader.line_num}"
                remedy = "fix the quotes of that line"
                raise BadData("not valid CSV", file=where, value=error, remedy=remedy) from error
            except UnicodeDecodeError as error:
                raise _not_text(open_file, name, error) from error

    if not has_header:
        names = columns_of([cells for _, cells in islice(lines(), NAMED_BY)])

    def rows() -> Iterator[Row]:
        for number, cells in lines():
            if not has_header and len(cells) > len(names):
                remedy = f"name the columns in a line above, such as {delimiter.join(names)}"
                what = f"more cells than the first lines have ({len(names)})"
                raise BadData(what, file=f"{name}:{number}", value=cells[-1], remedy=remedy)
            padded = [*cells, *[""] * (len(names) - len(cells))]
            yield number, {one: padded[at].strip() for at, one in enumerate(names)}

    return TableFile(names, rows, "line", f"{name}:1")


def _text(open_file: Callable[[], BinaryIO], name: str) -> io.TextIOWrapper:
    """UTF-8 with or without a byte order mark; UTF-16 with one, as spreadsheets save it."""
    file = open_file()
    head = file.read(4096)
    if not head.startswith(UTF16) and b"\0" in head:
        file.close()
        remedy = "save it as CSV UTF-8"
        raise BadData("not UTF-8 text", file=name, value="bytes of 0", remedy=remedy)
    file.seek(0)
    encoding = "utf-16" if head.startswith(UTF16) else "utf-8-sig"
    return io.TextIOWrapper(file, encoding, newline="")


def _guarded(read: Callable[[], str], open_file: Callable[[], BinaryIO], name: str) -> str:
    try:
        return read()
    except UnicodeDecodeError as error:
        raise _not_text(open_file, name, error) from error


def _not_text(open_file: Callable[[], BinaryIO], name: str, error: UnicodeDecodeError) -> BadData:
    """The first line that is not UTF-8: text is decoded in larger pieces."""
    with open_file() as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as first:
                return BadData(
                    "not UTF-8 text",
                    file=f"{name}:{number}",
                    value=f"{first}: {line[max(first.start - 20, 0) : first.end + 20]!r}",
                    remedy="save it as CSV UTF-8",
                )
    return BadData("not UTF-8 text", file=name, value=error, remedy="save it as CSV UTF-8")


def _json(
    open_file: Callable[[], BinaryIO],
    name: str,
    read: Callable[[BinaryIO, str], Iterator[Row]],
) -> TableFile:
    def rows() -> Iterator[Row]:
        with open_file() as file:
            for number, record in read(file, name):
                yield number, {key: cell(value) for key, value in record.items()}

    names: dict[str, None] = {}
    inside: dict[str, Path] = {}
    for _, record in islice(rows(), NAMED_BY):
        names |= dict.fromkeys(record)
        inside |= paths_inside(record)
    unit = "line" if read is json_lines else "record"
    return TableFile(tuple(names), rows, unit, name, inside)


def _parquet(open_file: Callable[[], BinaryIO], name: str) -> TableFile:
    with parquet_file(open_file, name) as opened:
        schema = opened.schema_arrow
    columns = [one.name for one in schema if not _holds_bytes(one.type)]

    def rows() -> Iterator[Row]:
        number = 0
        with parquet_file(open_file, name) as opened:
            for batch in opened.iter_batches(PARQUET_ROWS, columns=columns):
                for record in batch.to_pylist():
                    number += 1
                    yield number, {key: cell(value) for key, value in record.items()}

    names = tuple(column for column in columns if column not in NO_COLUMN)
    return TableFile(names, rows, "row", name)


@contextmanager
def parquet_file(open_file: Callable[[], BinaryIO], name: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file. Raises BadData for what is none, now or while it is read."""
    try:
        with open_file() as file, pq.ParquetFile(file) as opened:
            yield opened
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        remedy = "fetch or write the file again, and compare its size"
        raise BadData(
            "not a readable Parquet file", file=name, value=error, remedy=remedy
        ) from error


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(_holds_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def cell(value: Any) -> Any:
    """As a CSV would have it; lists and objects stay what they are."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (dict, list)):
        return value
    return str(value).strip()
