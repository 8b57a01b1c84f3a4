"""The files in curation/ that people write: where they lie and how they are read, strictly, line by line.

Not to be taken for line/curate/classes.csv, the table of classes that the stage writes: curation/classes.csv holds what
people know of classes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from pipeline_lib.errors import ConfigError

OVERRIDES = Path("curation/overrides.csv")
CLASS_WORDS = Path("curation/classes.csv")
BYTE_ORDER_MARK = "\ufeff"  # Excel begins UTF-8 files with it


def read_overrides(checkout: Path) -> str:
    """The text of curation/overrides.csv. Raises ConfigError."""
    return read_text(checkout / OVERRIDES)


def read_text(file: Path) -> str:
    """The text of one of these files. Raises ConfigError where it is absent or not UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        remedy = f"restore it with `git checkout curation/{file.name}`; its header line alone says nothing"
        raise ConfigError("the file is absent", file=file, remedy=remedy) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            "not UTF-8 text", file=file, value=str(error), remedy="save it as UTF-8"
        ) from error


def read_lines(
    text: str, file: Path, columns: tuple[str, ...]
) -> Iterator[tuple[int, list[str] | str]]:
    """Yield (number, cells) for each line that is not empty; last (number, fault) where the CSV itself breaks off.

    Raises ConfigError when the first line does not name `columns`.
    """
    reader = csv.reader(io.StringIO(text.removeprefix(BYTE_ORDER_MARK)), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if header != list(columns):
            remedy = f"make its first line `{','.join(columns)}`"
            raise ConfigError(
                "the columns are wrong", file=f"{file}:1", value=",".join(header), remedy=remedy
            )
        for cells in reader:
            values = [cell.strip() for cell in cells]
            if any(values):
                yield reader.line_num, values
    except csv.Error as error:
        yield reader.line_num, str(error)
