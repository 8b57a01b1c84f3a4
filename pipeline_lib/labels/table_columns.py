"""Find the columns of classes and images of a table by its first rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from pipeline_lib.errors import BadData
from pipeline_lib.labels.columns import (
    SPLIT_COLUMNS,
    Told,
    class_columns,
    has_file_column,
    is_perhaps_class,
    plain,
)
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.finder import Finder
from pipeline_lib.labels.table_files import TableFile, read_table
from pipeline_lib.sources.names import is_image_name
from pipeline_lib.sources.split_names import SPLIT_FOLDERS, split_names

SAMPLED = 200  # rows
_WHOLE = re.compile(r"([+-]?\d+)\.0+")
_TERNARY = frozenset({"", "-1", "-1.0", "0", "0.0", "1", "1.0"})
OTHERS = 2  # columns beside those of several classes: image and split


def columns_of_zeros_and_ones(table: TableFile, n_rows: int = SAMPLED) -> Sequence[str]:
    """The columns whose cells are 0 or 1 in the first rows, with one 1 in each row; () where rows differ, and where the 1 is
    in the same column in all rows (`region_count`).

    Where no column is named like a class and all columns but two are of this kind, rows may have several.
    """
    possible = dict.fromkeys(table.names)
    rows = [cells for _, cells in islice(table.rows(), n_rows)]
    for cells in rows:
        for name in list(possible):
            if as_bit(cells.get(name, "")) is None:
                del possible[name]
    if any(_says_more_than_bits(rows, name) for name in table.names if name not in possible):
        return ()  # 1 for present, -1 for uncertain, nothing for not mentioned, as CheXpert has it
    names = list(possible)
    n_ones = [sum(as_bit(cells[name]) or 0 for name in names) for cells in rows]
    if len(names) < 2 or not rows:
        return ()
    may_be_several = len(names) >= len(table.names) - OTHERS and not class_columns(table.names)
    is_one_each = all(n == 1 for n in n_ones) and _differ(table, names)
    return names if is_one_each or (may_be_several and max(n_ones) > 1) else ()


def _differ(table: TableFile, names: Sequence[str]) -> bool:
    """Whether some rows have their 1 in one column and some in another. Rows may be sorted by class."""
    ones = ([name for name in names if as_bit(cells.get(name, ""))] for _, cells in table.rows())
    first = next(ones, [])
    return any(one != first for one in ones)


def _says_more_than_bits(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Whether a column holds 1, and -1 or nothing beside it."""
    cells = {str(one.get(name, "")) for one in rows}
    return bool(cells & {"1", "1.0"}) and bool(cells & {"", "-1", "-1.0"}) and cells <= _TERNARY


def column_of_names(table: TableFile, columns: Sequence[str]) -> str | None:
    """The column that names the classes, of several that say the same of every row: `ClassName` beside `Label`, a number."""
    pairs = set()
    for _, cells in table.rows():
        pairs.add(tuple(str(table.value(cells, name)) for name in columns))
    if len(pairs) < 2 or any(
        len({pair[at] for pair in pairs}) < len(pairs) for at in range(len(columns))
    ):
        return None
    words = [at for at in range(len(columns)) if not all(pair[at].isdecimal() for pair in pairs)]
    return columns[words[0] if words else 0]


def split_of_table(table: TableFile) -> str | None:
    """The column of splits: the only one named so, or else the only one whose cells are names of several splits."""
    named = [name for name in table.names if plain(name) in SPLIT_COLUMNS]
    if named:
        return named[0] if len(named) == 1 else None
    rows = [cells for _, cells in islice(table.rows(), SAMPLED)]
    found = []
    for name in filter(None, table.names):
        cells = {str(table.value(one, name)) for one in rows} - {""}
        if any(map(is_image_name, cells)):
            continue  # train/1.png
        meanings = {split for cell in cells for split in split_names([cell]).values()}
        if len(meanings) > 1 and all(split_names([cell]) for cell in cells):
            found.append(name)
    return found[0] if len(found) == 1 else None


def agrees_with_folders(
    table: TableFile,
    name: str,
    image: str | None,
    finder: Finder,
    folder_class: Mapping[str, str | None],
) -> bool:
    """Whether a column of a table says of each image what its folder says, under whatever names."""
    images = [image] if image else [one for one in table.names if has_file_column([one])]
    folder = name.rpartition("/")[0]
    rows = [cells for _, cells in islice(table.rows(), SAMPLED)]
    for column in columns_that_repeat(table):
        pairs = {
            (folder_class.get(found[0]), str(table.value(cells, column)))
            for cells in rows
            for one in images
            if len(found := finder.find(str(table.value(cells, one)), folder)) == 1
        }
        n_folders = len({one for one, _ in pairs})
        if n_folders > 1 and n_folders == len(pairs) == len({cell for _, cell in pairs}):
            return True
    return False


def columns_that_repeat(table: TableFile) -> list[str]:
    """The columns that may hold a class: two values or more, and not one for each row."""
    rows = [cells for _, cells in islice(table.rows(), SAMPLED)]
    found = []
    holders = {path[0] for path in table.inside.values()}  # of objects, which are no classes
    for name in (*table.names, *table.inside):
        if name in holders:
            continue
        values = [str(table.value(cells, name)) for cells in rows]
        n_different = len(set(filter(None, values)))
        if name and 2 <= n_different <= max(2, len(rows) / 2) and n_different < len(rows):
            found.append(name)
    return found


def told_by(table: TableFile) -> Told:
    """What the cells of a table tell of its columns."""
    return Told(
        partial(columns_that_repeat, table),
        partial(_are_splits, table),
        partial(_rivals, table),
        partial(column_of_names, table),
    )


def _are_splits(table: TableFile, column: str) -> bool:
    """Whether the first cells of a column are splits and nothing else, those of training among them."""
    values = {value for value in _values(table, column) if value}
    meant = set(split_names(values).values()) if values else set()
    is_usual = {value.lower() for value in values} <= SPLIT_FOLDERS.keys()
    return "train" in meant and (is_usual or set(split_names(values)) == values)


def _rivals(table: TableFile, label: str) -> list[str]:
    """The columns that seem to hold another version of the class: `final_label`, with the classes of `label` in other rows."""
    values = _values(table, label)
    found = []
    for name in table.names:
        if name == label or not is_perhaps_class(name):
            continue
        others = _values(table, name)
        fewest = min(len(set(values)), len(set(others)))
        if others != values and len(set(values) & set(others)) > fewest / 2:
            found.append(name)
    return found


def _values(table: TableFile, column: str) -> list[str]:
    return [str(table.value(cells, column)) for _, cells in islice(table.rows(), SAMPLED)]


def image_column(files: Files, name: str, finder: Finder) -> str | None:
    """The column that names images by its cells, in a table where none does by its name: `Image Index`. A column that is
    named so (`data_row.id`) and names none counts as none.
    """
    folder = name.rpartition("/")[0]
    try:
        table = read_table(partial(files.stream, name), name=name)
        columns = [column for column in (*table.names, *table.inside) if column]
        rows = [cells for _, cells in islice(table.rows(), SAMPLED)]
        named = [column for column in columns if has_file_column([column])]
        if any(
            finder.find(str(table.value(one, column)), folder) for one in rows for column in named
        ):
            return None
        for column in columns:
            cells = [str(table.value(one, column)) for one in rows]
            # a number may mean any other thing as well
            are_names = all(is_image_name(cell) or not cell.isdecimal() for cell in cells)
            if cells and are_names and all(finder.find(cell, folder) for cell in cells):
                return column
    except BadData:
        return None
    return None


def as_bit(cell: Any) -> int | None:
    """0 or 1 for their usual spellings; None for all else."""
    return {"0": 0, "0.0": 0, "1": 1, "1.0": 1, "false": 0, "true": 1}.get(str(cell).lower())


def whole(label: str) -> str:
    """`3` for `3.0`, as programs write whole numbers where a cell of the column has no value."""
    return _WHOLE.sub(r"\1", label) if _WHOLE.fullmatch(label) else label
