"""Statements of tables: one line per image, with free column names, or one column of 0 and 1 per class."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pipeline_lib.errors import BadData
from pipeline_lib.labels.class_names import ClassNames
from pipeline_lib.labels.columns import SPLITS_OF_BITS, Columns, find_columns, plain
from pipeline_lib.labels.combinations import BETWEEN
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.finder import Finder
from pipeline_lib.labels.headerless import NO_SPLIT
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.statements import (
    Part,
    Stated,
    Statement,
    split_of_images,
    splits_of_files,
)
from pipeline_lib.labels.table_columns import (
    as_bit,
    columns_of_zeros_and_ones,
    told_by,
    whole,
)
from pipeline_lib.labels.table_files import TableFile, read_table
from pipeline_lib.sources.names import is_image_name

# Cells that say that an image is not of the class of its row: Open Images' confidence, Prodigy's answer
DENIALS = {"confidence": ("0", "0.0"), "answer": ("reject", "ignore")}


def stated_by_tables(
    files: Files,
    names: Sequence[str],
    stated: LabelsFile,
    *,
    members: frozenset[str],
    subject_column: str | None,
    class_names: ClassNames,
) -> Stated:
    """What tables say. names: of the files. Raises BadData for columns that are absent or could be meant in two ways."""
    tables = {name: read_table(partial(files.stream, name), name=files.at(name)) for name in names}
    columns = {name: _columns(table, stated, subject_column) for name, table in tables.items()}
    first = columns[names[0]]
    column = _column_of_images(tables, columns, members)
    splits = splits_of_files(names) if stated.file is None else {}

    def parts() -> Iterator[Part]:
        for name, table in tables.items():
            folder = name.rpartition("/")[0] if stated.file is None else None
            statements = _statements(
                table, columns[name], column[name], subject_column, class_names, files.at(name)
            )
            split, images_of = splits.get(name, ""), split_of_images(name)
            yield Part(files.at(name), statements, folder, split, table.unit, images_of)

    said = f"images in column {column[names[0]]}, "
    said += (
        f"classes in {first.label}"
        if first.label
        else f"a 1 in the column of the class ({len(first.one_hot)} columns)"
    )
    said += f", splits in {first.split}" if first.split else ""
    said += ", splits by the files' names" if splits and not first.split else ""
    said += f", subjects in {subject_column}" if subject_column is not None else ""
    return Stated(
        said,
        parts(),
        first.names,
        column[names[0]],
        first.split or "",
        stated.several,
        first.are_lists,
    )


def _columns(table: TableFile, stated: LabelsFile, subject_column: str | None) -> Columns:
    one_hot = columns_of_zeros_and_ones(table) if stated.format == "one_hot" else ()
    columns = find_columns(
        table.names,
        where=table.where,
        stated=stated,
        one_hot=one_hot,
        inside=tuple(table.inside),
        told=told_by(table),
    )
    if subject_column is not None and subject_column not in columns.names:
        remedy = "name one of its columns in subject_from, or a pattern such as '{subject}_*'"
        raise BadData(
            f"no column {subject_column}",
            file=table.where,
            value=", ".join(columns.names),
            remedy=remedy,
        )
    return columns


def _column_of_images(
    tables: Mapping[str, TableFile], columns: Mapping[str, Columns], members: frozenset[str]
) -> dict[str, str]:
    """Of several possible columns the one that names most images, for each file.

    Where one holds names with the ending of an image, numbers in another are no names, though images may be numbered too.
    """
    chosen = {}
    finder: Finder | None = None
    for name, table in tables.items():
        possible = columns[name].files
        if len(possible) > 1:
            finder = finder or Finder(members)
            n_named, n_endings = dict.fromkeys(possible, 0), dict.fromkeys(possible, 0)
            for _, cells in table.rows():
                for column in possible:
                    cell = str(table.value(cells, column))
                    n_named[column] += bool(finder.find(cell))
                    n_endings[column] += is_image_name(cell)
            most = max(n_endings.values())
            of_names = [column for column in possible if n_endings[column] == most]
            chosen[name] = max(of_names, key=lambda column: n_named[column])
        else:
            chosen[name] = possible[0]
    return chosen


def _statements(
    table: TableFile,
    columns: Columns,
    image: str,
    subject_column: str | None,
    class_names: ClassNames,
    file: str,
) -> Iterator[Statement]:
    told = {image, columns.label, columns.split, *columns.one_hot}
    further = [name for name in columns.names if name not in told and name]
    denials = {name: no for name in columns.names if (no := DENIALS.get(plain(name)))}
    for number, cells in table.rows():
        label = (
            _label(table.value(cells, columns.label), f"{file}:{number}")
            if columns.label
            else _hot(cells, columns.one_hot, file, number, table.unit)
        )
        is_denied = any(str(cells.get(name, "")).lower() in no for name, no in denials.items())
        label = [] if is_denied else label
        yield Statement(
            number,
            str(table.value(cells, image)),
            BETWEEN.join(map(class_names.name, label)),
            _split(str(table.value(cells, columns.split)), columns.split),
            {name: cells.get(name, "") for name in further},
            str(cells.get(subject_column, "")) if subject_column else "",
        )


def _split(text: str, column: str | None) -> str:
    if of_bits := SPLITS_OF_BITS.get(plain(column or "")):
        bit = as_bit(text)
        return text if bit is None else of_bits[0 if bit else 1]
    return "" if text.lower() == NO_SPLIT else text


def _label(cell: Any, where: str) -> list[str]:
    """The classes in a cell, each once; Label Studio's CSV holds several as JSON. Raises BadData for an object."""
    if isinstance(cell, str) and cell.startswith(("{", "[")):
        with contextlib.suppress(ValueError, RecursionError):
            return _label(json.loads(cell), where)
    if cell in ({}, []):
        return []
    if isinstance(cell, dict) and len(cell) == 1:
        return _label(next(iter(cell.values())), where)
    if isinstance(cell, dict) and cell:
        remedy = "name one of its keys as the column, with a full stop between, such as label.name"
        raise BadData("an object, not a class", file=where, value=str(cell)[:80], remedy=remedy)
    if isinstance(cell, list):
        return list(dict.fromkeys(label for one in cell for label in _label(one, where)))
    return [whole(str(cell))]


def _hot(
    cells: Mapping[str, Any], names: Sequence[str], file: str, number: int, unit: str
) -> list[str]:
    bits = {name: as_bit(cells.get(name, "")) for name in names}
    chosen = [name for name, bit in bits.items() if bit]
    if None in bits.values():
        what = f"{unit} {number} has not only 0 and 1 in the columns of classes"
        value = ", ".join(f"{name}: {cells.get(name, '')}" for name in names[:8])
        remedy = (
            "write 1 in one column per image, or name the column of the class as `labels.label`"
        )
        raise BadData(what, file=file, value=value, remedy=remedy)
    return chosen
