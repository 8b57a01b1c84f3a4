"""Statements of tables that tell splits alone: the folder of an image is its class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from pipeline_lib.errors import BadData
from pipeline_lib.labels.columns import has_file_column
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.finder import Finder
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.statements import Part, Stated, Statement, split_of_images, splits_of_files
from pipeline_lib.labels.table_columns import image_column, split_of_table
from pipeline_lib.labels.table_files import TableFile, read_table
from pipeline_lib.labels.undecided import IN_PARAMS


def stated_by_split_tables(
    files: Files, names: Sequence[str], stated: LabelsFile, *, members: frozenset[str]
) -> Stated:
    """What tables say of splits, in a column or by their own names. Raises BadData for a table without images or splits."""
    tables = {name: read_table(partial(files.stream, name), name=files.at(name)) for name in names}
    by_file = splits_of_files(names) if stated.file is None else {}
    finder = Finder(members)
    images = {
        name: stated.image or _image(files, name, table, finder) for name, table in tables.items()
    }
    splits = {name: stated.split or split_of_table(table) for name, table in tables.items()}
    for name, table in tables.items():
        if not images[name] or not (splits[name] or by_file):
            lacking = "splits" if images[name] else "image"
            remedy = f"name it: `image: COLUMN`, `split: COLUMN` in `labels` of {IN_PARAMS}"
            value = ", ".join(table.names)
            raise BadData(
                f"no column for the {lacking}", file=table.where, value=value, remedy=remedy
            )

    def parts() -> Iterator[Part]:
        for name, table in tables.items():
            folder = name.rpartition("/")[0] if stated.file is None else None
            statements = _statements(table, images[name] or "", splits[name])
            of_file, images_of = by_file.get(name, ""), split_of_images(name)
            yield Part(files.at(name), statements, folder, of_file, table.unit, images_of)

    first, column = images[names[0]] or "", splits[names[0]] or ""
    said = f"images in column {first}, splits " + (
        f"in {column}" if column else "by the files' names"
    )
    said += "; the folder of an image is its class"
    return Stated(said, parts(), tables[names[0]].names, first, column)


def _statements(table: TableFile, image: str, split: str | None) -> Iterator[Statement]:
    further = [name for name in table.names if name not in (image, split) and name]
    for number, cells in table.rows():
        extras = {name: cells.get(name, "") for name in further}
        said = str(table.value(cells, split)) if split else ""
        path = str(table.value(cells, image))
        yield Statement(number, path, split=said, extras=extras, by_folder=True)


def _image(files: Files, name: str, table: TableFile, finder: Finder) -> str | None:
    """The column that names images: of several that may, the one that names one in the first row."""
    named = [one for one in table.names if has_file_column([one])]
    row = next((cells for _, cells in table.rows()), {})
    fitting = [
        one for one in named if finder.find(str(table.value(row, one)), name.rpartition("/")[0])
    ]
    return next(iter(fitting or named), None) or image_column(files, name, finder)
