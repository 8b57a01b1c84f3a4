"""Read tables whose columns are separated by blanks, as the authors of public data sets write them.

`image_id class_id super_class_id path` (Stanford Online Products); above it perhaps the number of lines, as in CelebA and
DeepFashion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from pipeline_lib.errors import BadData
from pipeline_lib.labels.columns import FILE_COLUMNS, plain
from pipeline_lib.labels.json_tables import Row

LONGEST_LINE = 1 << 16  # bytes


@dataclass(frozen=True)
class BlankTable:
    """line: of the names of the columns, from 1. rows: begins anew at each call."""

    names: tuple[str, ...]
    rows: Callable[[], Iterator[Row]]
    line: int


def blank_table(open_file: Callable[[], BinaryIO], name: str) -> BlankTable | None:
    """The table, if its first line names a column of images and further ones, and the next line has as many cells."""
    with open_file() as file:
        head = [line.split() for line in _first_lines(file, 3)]
    at = int(len(head) > 1 and len(head[0]) == 1 and head[0][0].isdecimal())  # the number of lines
    if len(head) < at + 2:
        return None
    names = tuple(head[at])
    is_header = len(names) > 1 and any(plain(one) in FILE_COLUMNS for one in names)
    if not is_header or len(head[at + 1]) != len(names) or len(set(names)) < len(names):
        return None

    def rows() -> Iterator[Row]:
        with open_file() as file:
            for number, line in enumerate(file, 1):
                cells = _text(line, f"{name}:{number}").split()
                if number <= at + 1 or not cells:
                    continue
                if len(cells) != len(names):
                    what = f"{len(cells)} cells, where the columns are {len(names)}"
                    remedy = "save it as CSV, with quotes around cells that hold blanks"
                    raise BadData(
                        what, file=f"{name}:{number}", value=" ".join(cells)[:60], remedy=remedy
                    )
                yield number, dict(zip(names, cells, strict=True))

    return BlankTable(names, rows, at + 1)


def _first_lines(file: BinaryIO, n: int) -> list[str]:
    lines = iter(lambda: file.readline(LONGEST_LINE), b"")
    return [line.decode("utf-8-sig", "replace") for line in islice(lines, n)]


def _text(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadData(
            "not UTF-8 text", file=where, value=error, remedy="save it as UTF-8"
        ) from error
