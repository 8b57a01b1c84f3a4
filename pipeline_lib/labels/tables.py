"""Statements of tables: one line per image, with free column names, or one column of 0 and 1 per class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pipeline_lib.errors import BadData
from pipeline_lib.labels.class_names import ClassNames
from pipeline_lib.labels.columns import Columns, find_columns
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.match import Finder
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.statements import Part, Stated, Statement, splits_of_files
from pipeline_lib.labels.table_files import (
    TableFile,
    as_bit,
    columns_of_zeros_and_ones,
    read_table,
)


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
    named = partial(_named, class_names=class_names, separator=stated.separator)

    def parts() -> Iterator[Part]:
        for name, table in tables.items():
            folder = name.rpartition("/")[0] if stated.file is None else None
            statements = _statements(
                table, columns[name], column[name], subject_column, named, files.at(name)
            )
            yield Part(files.at(name), statements, folder, splits.get(name, ""), table.unit)

    said = f"images in column {column[names[0]]}, "
    said += (
        f"classes in {first.label}"
        if first.label
        else f"a 1 in the column of the class ({len(first.one_hot)} columns)"
    )
    said += f", splits in {first.split}" if first.split else ""
    said += ", splits by the files' names" if splits and not first.split else ""
    said += f", subjects in {subject_column}" if subject_column is not None else ""
    return Stated(said, parts(), first.names, column[names[0]], first.split or "")


def _columns(table: TableFile, stated: LabelsFile, subject_column: str | None) -> Columns:
    one_hot = columns_of_zeros_and_ones(table) if stated.format == "one_hot" else ()
    columns = find_columns(table.names, where=table.where, stated=stated, one_hot=one_hot)
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
    """Of several possible columns the one that names most images, for each file."""
    chosen = {}
    finder: Finder | None = None
    for name, table in tables.items():
        possible = columns[name].files
        if len(possible) > 1:
            finder = finder or Finder(members)
            n_named = dict.fromkeys(possible, 0)
            for _, cells in table.rows():
                for column in possible:
                    n_named[column] += bool(finder.find(str(cells.get(column, ""))))
            chosen[name] = max(possible, key=lambda column: n_named[column])
        else:
            chosen[name] = possible[0]
    return chosen


def _statements(
    table: TableFile,
    columns: Columns,
    image: str,
    subject_column: str | None,
    named: Callable[[str], str],
    file: str,
) -> Iterator[Statement]:
    told = {image, columns.label, columns.split, *columns.one_hot}
    further = [name for name in columns.names if name not in told and name]
    for number, cells in table.rows():
        label = (
            _label(cells.get(columns.label, ""), file, number, table.unit)
            if columns.label
            else _hot(cells, columns.one_hot, file, number, table.unit)
        )
        yield Statement(
            number,
            str(cells.get(image, "")),
            named(label),
            str(cells.get(columns.split, "")) if columns.split else "",
            {name: cells.get(name, "") for name in further},
            str(cells.get(subject_column, "")) if subject_column else "",
        )


def _named(label: str, class_names: ClassNames, separator: str | None) -> str:
    """The name of a class, or of each where the cell holds several."""
    if separator is None:
        return class_names.name(label)
    return separator.join(class_names.name(one.strip()) for one in label.split(separator))


def _label(cell: Any, file: str, number: int, unit: str) -> str:
    if isinstance(cell, list) and len(cell) == 1:
        return _label(cell[0], file, number, unit)
    if isinstance(cell, (list, dict)):
        if not cell:
            return ""
        remedy = "write one class per image; images of several classes cannot be trained on here"
        raise BadData(
            f"several classes in {unit} {number}", file=file, value=str(cell)[:80], remedy=remedy
        )
    return str(cell)


def _hot(cells: Mapping[str, Any], names: Sequence[str], file: str, number: int, unit: str) -> str:
    bits = {name: as_bit(cells.get(name, "")) for name in names}
    chosen = [name for name, bit in bits.items() if bit]
    if len(chosen) > 1 or None in bits.values():
        what = f"{unit} {number} has not exactly one 1 in the columns of classes"
        value = ", ".join(f"{name}: {cells.get(name, '')}" for name in names[:8])
        remedy = (
            "write 1 in one column per image, or name the column of the class as `labels.label`"
        )
        raise BadData(what, file=file, value=value, remedy=remedy)
    return chosen[0] if chosen else ""
