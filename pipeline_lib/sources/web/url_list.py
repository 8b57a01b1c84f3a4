"""A list of URLs, one per line, or the column `url` of a table."""

from __future__ import annotations

import csv
import io
import re

from pipeline_lib.errors import BadData
from pipeline_lib.sources.web.urls import Url, name_of, parse_url

LIST_ENDINGS = (".txt", ".csv", ".tsv")
COLUMNS = ("url", "imageurl", "imgurl", "photourl", "link", "uri")


def is_url_list(uri: str) -> bool:
    """Whether an address names, by its file extension, a list of URLs."""
    return uri.partition("?")[0].lower().endswith(LIST_ENDINGS)


def read_url_list(data: bytes, *, file: str) -> dict[str, Url]:
    """The URLs of a list by the names of their images, in the list's order; a line that stands twice counts once.

    Text: one a line, `#` begins a comment. A table has a column url (or image_url, link, ...). Raises BadData: not UTF-8, no
    such column, a line that is no http:// or https:// address, two addresses that give one name, no line.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadData(
            "not UTF-8 text", file=file, value=error, remedy="save it as UTF-8"
        ) from error
    is_table = file.partition("?")[0].lower().endswith((".csv", ".tsv"))
    lines = _column(text, file) if is_table else _lines(text)
    found: dict[str, Url] = {}
    for number, line in lines:
        url = parse_url(line, file=f"{file}:{number}")
        name = name_of(url)
        if found.setdefault(name, url) != url:
            remedy = "keep one of the two"
            raise BadData(
                "two addresses give an image the same name",
                file=f"{file}:{number}",
                value=name,
                remedy=remedy,
            )
    if not found:
        raise BadData("no URL in it", file=file, remedy="write one address per line")
    return found


def _lines(text: str) -> list[tuple[int, str]]:
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1))
    return [(number, line) for number, line in lines if line and not line.startswith("#")]


def _column(text: str, file: str) -> list[tuple[int, str]]:
    first = text.partition("\n")[0]
    delimiter = max("\t;,|", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = [re.sub(r"[\W_]", "", name.lower()) for name in next(reader, [])]
        columns = [names.index(name) for name in COLUMNS if name in names]
        if not columns:
            remedy = "name the column of the addresses `url`"
            raise BadData(
                "no column of URLs", file=f"{file}:1", value=first.strip()[:200], remedy=remedy
            )
        return [
            (reader.line_num, cells[columns[0]] if len(cells) > columns[0] else "")
            for cells in reader
            if any(cell.strip() for cell in cells)
        ]
    except csv.Error as error:
        where = f"{file}:{reader.line_num}"
        raise BadData("not valid CSV", file=where, value=error, remedy="fix that line") from error
