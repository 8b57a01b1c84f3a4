"""The files of class maps that extra test sets name, read into the sources: later stages know them by their content."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from unicodedata import normalize

from pipeline_lib.errors import BadData
from pipeline_lib.labels.files import files_beside, only_text
from pipeline_lib.settings import Settings
from pipeline_lib.sources.places import table_place
from pipeline_lib.sources.source import ClassMap, Source

COLUMNS = ["received", "class"]


def with_class_maps(
    sources: Iterable[Source], settings: Settings, *, root: Path
) -> tuple[Source, ...]:
    """The sources with the pairs in place of the files' names. Raises SourceMissing; BadData for what is no class map."""
    return tuple(
        one.model_copy(update={"class_map": read_class_map(one.class_map, settings, root=root)})
        if isinstance(one.class_map, str)
        else one
        for one in sources
    )


def read_class_map(address: str, settings: Settings, *, root: Path) -> ClassMap:
    """Received name -> class of training, None for an empty one. Names are composed (NFC), as `download` has them."""
    files = files_beside(table_place(address, settings, root=root))
    text = only_text(files.read(files.names[0]).splitlines(), file=address)
    reader = csv.reader(io.StringIO("\n".join(text)), strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        where = f"{address}:{reader.line_num}"
        raise BadData("not CSV", file=where, value=error, remedy="save it as CSV") from error
    header = lines[0][1] if lines else []
    if header != COLUMNS:
        remedy = f"make its first line `{','.join(COLUMNS)}`"
        raise BadData(
            "the columns are wrong", file=f"{address}:1", value=",".join(header), remedy=remedy
        )

    found: ClassMap = {}
    for number, cells in lines[1:]:
        if not any(cells):
            continue
        received = normalize("NFC", cells[0])
        if len(cells) != len(COLUMNS) or not received or received in found:
            remedy = "write one line `received,class` for each name; an empty class leaves it out"
            what = "named twice" if received in found else "not a line `received,class`"
            where = f"{address}:{number}"
            raise BadData(what, file=where, value=",".join(cells), remedy=remedy)
        found[received] = normalize("NFC", cells[1]) or None
    return found
