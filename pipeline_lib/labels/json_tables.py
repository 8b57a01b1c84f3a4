"""Read the records of JSON and JSON Lines, in the forms in which people and tools write labels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from pipeline_lib.errors import BadData
from pipeline_lib.labels.columns import FILE_COLUMNS, class_columns, plain
from pipeline_lib.labels.json_stream import JsonStream
from pipeline_lib.sources.names import is_image_name
from pipeline_lib.sources.split_names import SPLIT_FOLDERS

ENVELOPE = 20  # members of a JSON object beside the array that holds its records
Row = tuple[int, Mapping[str, Any]]  # number of the line or record, from 1; cells by column


def json_lines(file: BinaryIO, name: str) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                record = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except (ValueError, RecursionError) as error:  # bad text too
                remedy = "write one JSON object per line, in UTF-8"
                raise BadData(
                    "not a line of JSON", file=f"{name}:{number}", value=error, remedy=remedy
                ) from error
            if not isinstance(record, dict):
                raise BadData(
                    "a line that is no JSON object",
                    file=f"{name}:{number}",
                    value=str(record)[:60],
                    remedy='write lines such as {"file_name": "a.jpg", "label": "cat"}',
                )
            yield number, record


def json_records(file: BinaryIO, name: str) -> Iterator[Row]:
    """The records of a JSON file: an array of objects or of pairs; {image: class}; {image: record}; {column: array};
    {"version": 1, "files": [an array of objects]}; {"train": [records], "test": [records]}; {class: [images]}.
    """
    stream = JsonStream(file, name)
    start = stream.peek()
    if start == "[":
        yield from _array(stream, name)
        return
    if start != "{":
        raise _no_records(name, start)
    columns: dict[str, list[Any]] = {}
    number = 0
    first: list[Row] = []  # or what stands beside the array of the records
    for key in stream.members():
        kind = stream.peek()
        if kind == "[":
            columns[key] = list(_values(stream))
            continue
        number += 1
        value = stream.value()
        record = {"file_name": key} | (value if isinstance(value, dict) else {"label": value})
        first.append((number, record))
        if number > ENVELOPE:
            yield from first
            first = []
    if columns and not number and {key.lower() for key in columns} <= SPLIT_FOLDERS.keys():
        records = ((key, value) for key, values in columns.items() for value in values)
        for at, (split, value) in enumerate(records, 1):
            yield at, {**_record(value, name), "split": split}
        return
    tables = [one for one in columns.values() if one and isinstance(one[0], dict)]
    if len(tables) > 1:
        raise _no_records(name, ", ".join(columns))
    if number <= ENVELOPE and len(tables) == 1:
        yield from ((at, _record(value, name)) for at, value in enumerate(tables[0], 1))
        return
    yield from first
    if number:
        return
    if len(columns) > 1 and _are_names_by_class(columns):
        pairs = ((value, key) for key, values in columns.items() for value in values)
        for at, (value, key) in enumerate(pairs, 1):
            yield at, {"file_name": value, "label": key}
        return
    if len(columns) == 1:  # {"labels": [["a.jpg", 0], ...]}, {"data": [{...}, ...]}
        only = next(iter(columns.values()))
        yield from ((at, _record(value, name)) for at, value in enumerate(only, 1))
        return
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise _no_records(name, ", ".join(columns))
    for at, cells in enumerate(zip(*columns.values(), strict=True), 1):
        yield at, dict(zip(columns, cells, strict=True))


def _values(stream: JsonStream) -> Iterator[Any]:
    for _ in stream.items():
        yield stream.value()


def _array(stream: JsonStream, name: str) -> Iterator[Row]:
    for at, value in enumerate(_values(stream), 1):
        yield at, _record(value, name)


def _are_names_by_class(columns: Mapping[str, list[Any]]) -> bool:
    """Whether arrays hold names of images, and their keys are classes: Food-101's train.json. Columns have names of columns,
    and not all of them name images.
    """
    if class_columns(tuple(columns)) or any(plain(key) in FILE_COLUMNS for key in columns):
        return False
    if any(map(is_image_name, columns)):
        return False  # {image: [classes]}
    values = [value for of_key in columns.values() for value in of_key]
    have_endings = {isinstance(value, str) and is_image_name(value) for value in values}
    return len(have_endings) == 1 and all(isinstance(value, str) for value in values)


def _record(value: Any, name: str) -> Mapping[str, Any]:
    if isinstance(value, str):
        return {"file_name": value}
    if isinstance(value, list) and len(value) in (
        2,
        3,
    ):  # of three, the second is the number of the class
        return {"file_name": value[0], "label": value[-1]}
    if not isinstance(value, dict):
        raise _no_records(name, str(value)[:60])
    return value


def _no_records(name: str, value: str) -> BadData:
    remedy = 'write an array of objects such as [{"file_name": "a.jpg", "label": "cat"}], or {"a.jpg": "cat"}'
    return BadData("a JSON file without records", file=name, value=value, remedy=remedy)
