"""A Parquet table with a fixed, versioned, documented schema.

Name, version and column meanings travel in the file's metadata; docs/data-dictionary.md is generated from the same
objects. Files are deterministic: same rows, same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_lib.atomic_files import atomic_file
from pipeline_lib.errors import BadData

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
        fields = [pa.field(c.name, c.type, c.nullable, {"meaning": c.meaning}) for c in self.columns]
        return pa.schema(fields, {"perennial.table": self.name, "perennial.version": str(self.version)})

    def write(self, frame: pd.DataFrame, path: Path) -> None:
        """Sort by the key, check against the schema and write atomically (zstd).

        The frame must have exactly the columns of the schema, in any order. A mistake here is ours: AssertionError.
        """
        assert set(frame.columns) == {c.name for c in self.columns}, (
            self.name,
            set(frame.columns) ^ {c.name for c in self.columns},
        )
        assert not frame.duplicated(list(self.key)).any(), f"{self.name}: the key {self.key} is not unique"
        ordered = frame.sort_values(list(self.key), kind="stable")[[c.name for c in self.columns]]
        for column in self.columns:
            assert column.nullable or not ordered[column.name].isna().any(), (
                f"{self.name}.{column.name} has empty cells"
            )
        schema = self.schema()
        data = pa.Table.from_pandas(ordered, schema=schema, preserve_index=False).replace_schema_metadata(
            schema.metadata
        )
        data.validate()
        with atomic_file(path) as file:
            pq.write_table(data, file, compression="zstd", row_group_size=ROWS_PER_GROUP)

    def read(self, path: Path, columns: list[str] | None = None) -> pd.DataFrame:
        """Read a table, with Arrow-backed strings and nullable integers left as pandas makes them.

        Raises BadData when the file is another table, another version or damaged.
        """
        remedy = "run `dvc repro` again, or `dvc checkout` to restore it"
        try:
            metadata = pq.read_schema(path).metadata or {}
            found = (metadata.get(b"perennial.table", b"").decode(), metadata.get(b"perennial.version", b"").decode())
            if found != (self.name, str(self.version)):
                raise BadData(
                    f"not a {self.name} table of version {self.version}",
                    file=path,
                    value=" ".join(found),
                    remedy=remedy,
                )
            frame: pd.DataFrame = pq.read_table(path, columns=columns).to_pandas(types_mapper=_pandas_type)
        except FileNotFoundError:
            raise BadData(f"the {self.name} table is absent", file=path, remedy="run `dvc repro`") from None
        except pa.ArrowException as error:
            raise BadData("not a readable Parquet file", file=path, value=str(error), remedy=remedy) from error
        return frame

    def empty(self) -> pd.DataFrame:
        """A frame with the right columns and types and no rows."""
        frame: pd.DataFrame = self.schema().empty_table().to_pandas(types_mapper=_pandas_type)
        return frame


def _pandas_type(kind: pa.DataType) -> Any:
    """Arrow-backed pandas types for all but lists: nulls stay nulls, and integers stay integers."""
    return None if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) else pd.ArrowDtype(kind)
