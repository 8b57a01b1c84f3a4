"""A Parquet table with a fixed, versioned, documented schema.

Name, version and column meanings travel in the file's metadata; docs/data-dictionary.md is generated from the same
objects. Files are deterministic: same rows, same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline_lib.errors import BadData
from pipeline_lib.files.atomic import atomic_file

ROWS_PER_GROUP = 65_536


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type, and its meaning with unit and range. `nullable`: an empty cell is allowed."""

    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """A kind of table. `key`: the columns that identify a row and by which the file is sorted."""

    name: str
    version: int
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    def schema(self) -> pa.Schema:
        """The Arrow schema, with name, version and meanings as metadata."""
        fields = [
            pa.field(c.name, c.type, c.nullable, {"meaning": c.meaning}) for c in self.columns
        ]
        return pa.schema(
            fields, {"perennial.table": self.name, "perennial.version": str(self.version)}
        )

    def write(self, frame: pd.DataFrame, path: Path) -> None:
        """Sort by the key, check against the schema and write atomically (zstd).

        The frame must have exactly the columns of the schema, in any order. A mistake here is ours: AssertionError.
        """
        assert set(frame.columns) == {c.name for c in self.columns}, (
            self.name,
            set(frame.columns) ^ {c.name for c in self.columns},
        )
        for column in self.columns:
            assert column.nullable or not frame[column.name].isna().any(), (
                f"{self.name}.{column.name} has empty cells"
            )
        schema = self.schema()
        data = pa.Table.from_pandas(
            frame, schema=schema, preserve_index=False
        ).replace_schema_metadata(schema.metadata)
        data.validate()
        with (
            atomic_file(path) as file,
            pq.ParquetWriter(file, schema, compression="zstd") as writer,
        ):
            for rows in self._in_order(data):
                writer.write_table(rows, row_group_size=ROWS_PER_GROUP)

    def _in_order(self, data: pa.Table) -> Iterator[pa.Table]:
        """Row groups, sorted by the key, which is unique.

        By Arrow and one by one: pandas makes objects of Python of millions of cells, and a sorted copy takes as much again.
        """
        keys = data.select(list(self.key))
        order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in self.key])
        for start in range(0, max(len(order), 1), ROWS_PER_GROUP):
            with_one_before = keys.take(order[max(start - 1, 0) : start + ROWS_PER_GROUP])
            is_repeated = pa.scalar(True)
            for column in with_one_before.itercolumns():
                same = pc.equal(column.slice(1), column.slice(0, max(len(column) - 1, 0)))
                is_repeated = pc.and_(is_repeated, same)
            assert len(with_one_before) < 2 or not pc.any(is_repeated).as_py(), (
                f"{self.name}: the key {self.key} is not unique"
            )
            yield data.take(order[start : start + ROWS_PER_GROUP]).combine_chunks()

    def read(self, path: Path, columns: list[str] | None = None) -> pd.DataFrame:
        """Read a table, with Arrow-backed strings and nullable integers left as pandas makes them.

        Raises BadData when the file is another table, another version or damaged.
        """
        remedy = "run `dvc repro` again, or `dvc checkout` to restore it"
        try:
            metadata = pq.read_schema(path).metadata or {}
            found = (
                metadata.get(b"perennial.table", b"").decode(),
                metadata.get(b"perennial.version", b"").decode(),
            )
            if found != (self.name, str(self.version)):
                raise BadData(
                    f"not a {self.name} table of version {self.version}",
                    file=path,
                    value=" ".join(found),
                    remedy=remedy,
                )
            frame: pd.DataFrame = _as_pandas(pq.read_table(path, columns=columns))
        except FileNotFoundError:
            raise BadData(
                f"the {self.name} table is absent", file=path, remedy="run `dvc repro`"
            ) from None
        except pa.ArrowException as error:
            raise BadData(
                "not a readable Parquet file", file=path, value=str(error), remedy=remedy
            ) from error
        return frame

    def empty(self) -> pd.DataFrame:
        """A frame with the right columns and types and no rows."""
        frame: pd.DataFrame = _as_pandas(self.schema().empty_table())
        return frame


def _as_pandas(table: pa.Table) -> pd.DataFrame:
    """Nulls stay nulls; integers and booleans stay what they are, in columns and in lists.

    All columns but lists are Arrow-backed. A list is a NumPy array of its values, or None. Lists are not left to
    `to_pandas`: one null makes float64 of the integers of all rows, which has 53 bits for 64 (pyarrow 26).
    """
    scalars = table.select([field.name for field in table.schema if not _is_list(field.type)])
    frame: pd.DataFrame = scalars.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    lists = {
        field.name: pd.Series(_listed(table[field.name]), index=frame.index, dtype=object)
        for field in table.schema
        if _is_list(field.type)
    }
    in_order: pd.DataFrame = frame.assign(**lists)[table.column_names]
    return in_order


def _listed(column: pa.ChunkedArray) -> list[NDArray[Any] | None]:
    found: list[NDArray[Any] | None] = []
    for chunk in column.chunks:
        flat = chunk.flatten()
        values = (
            flat.to_numpy(zero_copy_only=False)
            if not flat.null_count
            else np.array(flat.to_pylist(), object)
        )
        present = chunk.is_valid().to_numpy(zero_copy_only=False)
        lengths = pc.fill_null(pc.list_value_length(chunk), 0).to_numpy(zero_copy_only=False)
        ends = np.cumsum(lengths)
        starts = ends - lengths
        cells = zip(starts.tolist(), ends.tolist(), present.tolist(), strict=True)
        found += [values[start:end] if there else None for start, end, there in cells]
    return found


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind))
