"""What is written with nulls is read back equal to the bit, in every table of the tree."""

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline_lib.tables
from pipeline_lib.tables.table import Column, Table

TABLES = sorted(
    {
        value.name: value
        for module in pkgutil.iter_modules(pipeline_lib.tables.__path__)
        for value in vars(importlib.import_module(f"pipeline_lib.tables.{module.name}")).values()
        if isinstance(value, Table)
    }.values(),
    key=lambda table: table.name,
)
HASHES = Table(
    "hashes",
    1,
    "lists of whole numbers beside nulls",
    ("row",),
    (
        Column("row", pa.int32(), "row"),
        Column("fixed", pa.list_(pa.uint64(), 2), "fixed", nullable=True),
        Column("free", pa.list_(pa.int64()), "free", nullable=True),
        Column("flags", pa.list_(pa.bool_()), "flags", nullable=True),
    ),
)


def values_of(kind: pa.DataType) -> st.SearchStrategy:
    if pa.types.is_fixed_size_list(kind):
        return st.lists(
            values_of(kind.value_type), min_size=kind.list_size, max_size=kind.list_size
        )
    if pa.types.is_list(kind):
        return st.lists(values_of(kind.value_type), max_size=4)
    if pa.types.is_integer(kind):
        top = 2**kind.bit_width if str(kind).startswith("u") else 2 ** (kind.bit_width - 1)
        return st.integers(0, top - 1) | st.just(top - 1)
    if pa.types.is_floating(kind):
        return st.floats(width=kind.bit_width, allow_nan=False)
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_binary(kind):
        return st.binary(max_size=8)
    assert pa.types.is_string(kind), kind
    return st.text(max_size=8)


@st.composite
def rows_of(draw: st.DrawFn, table: Table) -> list[dict[str, Any]]:
    n = draw(st.integers(1, 5))
    keys = [
        draw(st.lists(values_of(kind), min_size=n, max_size=n, unique=True))
        for kind in key_types(table)
    ]
    rows = []
    for number in range(n):
        row = {name: key[number] for name, key in zip(table.key, keys, strict=True)}
        for column in table.columns:
            if column.name not in row:
                cell = values_of(column.type)
                row[column.name] = draw(st.none() | cell if column.nullable else cell)
        rows.append(row)
    return rows


def key_types(table: Table) -> list[pa.DataType]:
    types = {column.name: column.type for column in table.columns}
    return [types[name] for name in table.key]


@pytest.mark.parametrize("table", [*TABLES, HASHES], ids=lambda table: table.name)
def test_a_table_with_nulls_is_read_back_equal_to_the_bit(
    table: Table, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("table") / "table.parquet"

    @settings(max_examples=25, deadline=None)
    @given(rows_of(table))
    def written_and_read(rows: list[dict[str, Any]]) -> None:
        table.write(pd.DataFrame(rows, columns=[c.name for c in table.columns], dtype=object), path)

        found = table.read(path)

        by_key = {tuple(row[name] for name in table.key): row for row in rows}
        for row in found.to_dict("records"):
            expected = by_key.pop(tuple(row[name] for name in table.key))
            assert {name: plain(cell) for name, cell in row.items()} == expected
        assert not by_key
        again = path.with_name("again.parquet")
        table.write(found, again)
        assert again.read_bytes() == path.read_bytes()

    written_and_read()


def test_a_null_beside_64_bit_hashes_takes_none_of_their_bits(tmp_path: Path) -> None:
    """pyarrow's own `to_pandas` makes float64 of both rows."""
    rows = [{"row": 0, "fixed": [2**63 + 1, 5], "free": [2**53 + 1], "flags": [True]}]
    rows.append({"row": 1, "fixed": None, "free": None, "flags": None})
    HASHES.write(pd.DataFrame(rows, dtype=object), tmp_path / "hashes.parquet")

    found = HASHES.read(tmp_path / "hashes.parquet")

    assert found["fixed"][0].dtype == np.uint64
    assert found["fixed"][0].tolist() == [2**63 + 1, 5]
    assert (found["free"][0].dtype, found["free"][0].tolist()) == (np.int64, [2**53 + 1])
    assert list(found.loc[1, ["fixed", "free", "flags"]]) == [None, None, None]


def plain(cell: Any) -> Any:
    """A cell as it was written."""
    if isinstance(cell, np.ndarray):
        return cell.tolist()
    return None if cell is None or cell is pd.NA else cell
