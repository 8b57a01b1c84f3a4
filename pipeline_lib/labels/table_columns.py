"""Find the columns of classes and images of a table by its first rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Any

from pipeline_lib.errors import BadData
from pipeline_lib.labels.columns import class_columns, has_file_column
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.match import Finder
from pipeline_lib.labels.table_files import TableFile, read_table
from pipeline_lib.sources.names import is_image_name

SAMPLED = 200  # rows
OTHERS = 2  # columns beside those of several classes: image and split


def columns_of_zeros_and_ones(table: TableFile, n_rows: int = SAMPLED) -> Sequence[str]:
    """The columns whose cells are 0 or 1 in the first rows, with one 1 in each row; () where rows differ.

    Where no column is named like a class and all columns but two are of this kind, rows may have several.
    """
    possible = dict.fromkeys(table.names)
    rows = [cells for _, cells in islice(table.rows(), n_rows)]
    for cells in rows:
        for name in list(possible):
            if as_bit(cells.get(name, "")) is None:
                del possible[name]
    names = list(possible)
    n_ones = [sum(as_bit(cells[name]) or 0 for name in names) for cells in rows]
    if len(names) < 2 or not rows:
        return ()
    may_be_several = len(names) >= len(table.names) - OTHERS and not class_columns(table.names)
    is_one_each = all(n == 1 for n in n_ones)
    return names if is_one_each or (may_be_several and max(n_ones) > 1) else ()


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


def image_column(files: Files, name: str, finder: Finder) -> str | None:
    """The column that names images by its cells, in a table where none does by its name: `Image Index`."""
    folder = name.rpartition("/")[0]
    try:
        table = read_table(partial(files.stream, name), name=name)
        if has_file_column((*table.names, *table.inside)):
            return None
        rows = [cells for _, cells in islice(table.rows(), SAMPLED)]
        for column in filter(None, (*table.names, *table.inside)):
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
