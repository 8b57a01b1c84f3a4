"""How a CSV file of curation/ is read: strictly, with the columns it must have, line by line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from pipeline_lib.errors import ConfigError


def read_lines(text: str, file: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, list[str] | str]]:
    """Yield (number, cells) for each line that says something; last (number, fault) where the CSV itself breaks off.

    Raises ConfigError when the first line does not name `columns`.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if header != list(columns):
            remedy = f"make its first line `{','.join(columns)}`"
            raise ConfigError("the columns are wrong", file=f"{file}:1", value=",".join(header), remedy=remedy)
        for cells in reader:
            values = [cell.strip() for cell in cells]
            if any(values):
                yield reader.line_num, values
    except csv.Error as error:
        yield reader.line_num, str(error)
