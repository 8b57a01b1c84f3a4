"""Parquet files that hold the images themselves, as Hugging Face publishes data sets: their columns, names and labels.

A column holds the bytes, as they are or as struct<bytes, path>; classes are names, or numbers whose names stand in the
schema's metadata (https://huggingface.co/docs/datasets/main/en/about_dataset_features: ClassLabel).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_lib.errors import BadData
from pipeline_lib.labels.class_names import ClassNames
from pipeline_lib.labels.columns import (
    CLASS_COLUMNS,
    SPLIT_COLUMNS,
    plain,
)
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.statements import Part, Stated, Statement, split_in
from pipeline_lib.labels.table_files import PARQUET_ROWS, cell, parquet_file
from pipeline_lib.labels.undecided import IN_PARAMS, several_columns
from pipeline_lib.shards.parquet_images import image_column, member_row


@dataclass(frozen=True)
class _Columns:
    label: str | None
    names: tuple[str, ...]  # of the classes by number; () where nothing names them
    split: str | None
    others: tuple[str, ...]


def stated_by_image_parquet(
    files: Files,
    names: Sequence[str],
    stated: LabelsFile,
    *,
    members: frozenset[str],
    class_names: ClassNames,
) -> Stated:
    """What Parquet files say of the images in them. names: of the files, whose members begin with the file's name."""
    with parquet_file(lambda: files.stream(names[0]), files.at(names[0])) as opened:
        first = _columns(opened.schema_arrow, stated, files.at(names[0]))
    by_number = ClassNames(
        {str(number): name for number, name in enumerate(first.names)},
        f"{names[0]}, column {first.label}",
    )
    split_of = {name: split for name in names if (split := _split(name))}

    def parts() -> Iterator[Part]:
        of_file: dict[str, dict[int, str]] = {name: {} for name in names}
        for member in members:
            folder, _, last = member.rpartition("/")
            name = folder if folder in of_file else names[0] if len(names) == 1 else ""
            if name and (row := member_row(last)) is not None:
                of_file[name][row] = member
        for name in names:
            statements = _statements(
                files, name, first, of_file[name], class_names if class_names.names else by_number
            )
            yield Part(files.at(name), statements, None, split_of.get(name, ""), "row")

    said = (
        f"images in the files, classes in column {first.label}"
        if first.label
        else "images in the files, no classes"
    )
    if first.names:
        said += ", named by the schema"
    elif first.label and not class_names.names:
        said += ", as they stand there"
    said += (
        f", splits in {first.split}"
        if first.split
        else ", splits by the files' names"
        if split_of
        else ""
    )
    return Stated(
        said,
        parts(),
        tuple(filter(None, (first.label, first.split, *first.others))),
        "",
        first.split or "",
    )


def _statements(
    files: Files, name: str, columns: _Columns, member_of: dict[int, str], class_names: ClassNames
) -> Iterator[Statement]:
    wanted = [one for one in (columns.label, columns.split, *columns.others) if one]
    row = 0
    with parquet_file(lambda: files.stream(name), files.at(name)) as opened:
        if columns.label and columns.label not in opened.schema_arrow.names:
            what = f"no column {columns.label}, which the first file has"
            raise BadData(what, file=files.at(name), remedy="keep files of one kind in a source")
        for batch in opened.iter_batches(PARQUET_ROWS, columns=wanted):
            for record in batch.to_pylist() if wanted else [{}] * batch.num_rows:
                member = member_of.get(row)
                row += 1
                if member is None:
                    continue
                cells = {key: cell(value) for key, value in record.items()}
                label = class_names.name(str(cells.get(columns.label, ""))) if columns.label else ""
                split = str(cells.get(columns.split, "")) if columns.split else ""
                extras = {key: cells[key] for key in columns.others}
                yield Statement(row, member, label, split, extras, member=member)


def _columns(schema: pa.Schema, stated: LabelsFile, file: str) -> _Columns:
    class_labels = class_labels_of(schema)
    image = image_column(schema)
    if image is None:
        remedy = "name Parquet files with a column of image bytes, or `format: table` for a table of labels"
        raise BadData(
            "no column of image bytes", file=file, value=", ".join(schema.names), remedy=remedy
        )
    plain_names = [one for one in schema.names if one != image]
    possible = [one for one in plain_names if one in class_labels] or [
        one for one in plain_names if plain(one) in CLASS_COLUMNS
    ]
    if stated.label is not None:
        if stated.label not in plain_names:
            what = f"no column {stated.label}"
            raise BadData(
                what,
                file=file,
                value=", ".join(plain_names),
                remedy=f"fix `labels.label` of {IN_PARAMS}",
            )
        possible = [stated.label]
    if len(possible) > 1:
        raise several_columns("several columns are possible", possible, file=file)
    label = possible[0] if possible else None
    splits = [one for one in plain_names if plain(one) in SPLIT_COLUMNS and one != label]
    others = tuple(
        one
        for one in plain_names
        if one not in (label, *splits) and not _is_large(schema.field(one).type)
    )
    return _Columns(label, class_labels.get(label or "", ()), splits[0] if splits else None, others)


def class_labels_of(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Column -> names of its classes by number, as `datasets` writes them into the schema's metadata."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: tuple(map(str, feature["names"]))
            for column, feature in features.items()
            if isinstance(feature, dict)
            and feature.get("_type") == "ClassLabel"
            and feature.get("names")
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _is_large(kind: pa.DataType) -> bool:
    """Bytes, further images and embeddings: no metadata of an image."""
    if pa.types.is_struct(kind):
        return any(_is_large(one.type) for one in kind)
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return bool(is_bytes or (pa.types.is_list(kind) and pa.types.is_floating(kind.value_type)))


def _split(name: str) -> str:
    """The split of `data/train-00000-of-00004.parquet`, or of `default/train/0000.parquet`."""
    return next((split for part in reversed(name.split("/")) if (split := split_in(part))), "")


def holds_images(file: BinaryIO) -> bool:
    """Whether a Parquet file has a column of image bytes. Only its footer is read."""
    try:
        with pq.ParquetFile(file) as opened:
            return image_column(opened.schema_arrow) is not None
    except (pa.ArrowException, OSError):
        return False
