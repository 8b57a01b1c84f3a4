"""Find the columns of classes of a table by its first rows: a 1 for the class, or few values that repeat."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from pipeline_lib.labels.columns import class_columns
from pipeline_lib.labels.table_files import TableFile

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
    for name in (*table.names, *table.inside):
        values = [str(table.value(cells, name)) for cells in rows]
        n_different = len(set(filter(None, values)))
        if name and 2 <= n_different <= max(2, len(rows) / 2):
            found.append(name)
    return found


def as_bit(cell: Any) -> int | None:
    """0 or 1 for their usual spellings; None for all else."""
    return {"0": 0, "0.0": 0, "1": 1, "1.0": 1, "false": 0, "true": 1}.get(str(cell).lower())
