"""curation/groups.csv: which groups people put images into, one image a line, tracked by git. Any columns, any words.

The first column says how images are named: by image_id, by sha256 (every copy), or by member, the path in the source.
Strict where it contradicts itself; a line whose image has left the sources is counted and named, and does no harm.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from pipeline_lib.errors import BadData, ConfigError
from pipeline_lib.files.csv_cells import plain
from pipeline_lib.slices.names import GROUPS_FILE
from pipeline_lib.sources.paths_in_source import path_in_source

KEYS = ("image_id", "sha256", "member")
HEADER = "image_id\n"  # a file without groups
BYTE_ORDER_MARK = "\ufeff"  # Excel begins UTF-8 files with it
SHOWN = 5  # faults, or names, in one message

Fault = tuple[int, str]  # number of the line, what is wrong with it


@dataclass(frozen=True)
class Line:
    """One line. number: in the file, 1 is the header. values: by column, without empty cells."""

    number: int
    key: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class GroupsFile:
    """The file as it stands. key: how its lines name images."""

    key: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Grouped:
    """values: image_id -> column -> value. lost: the lines that name no image of the sources."""

    columns: tuple[str, ...] = ()
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lost: tuple[Line, ...] = ()


def read_groups(checkout: Path) -> GroupsFile:
    """Read the file of a checkout; no groups where it is absent. Raises ConfigError listing every malformed line."""
    file = checkout / GROUPS_FILE
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = HEADER
    except UnicodeDecodeError as error:
        remedy = "save it as UTF-8"
        raise ConfigError("not UTF-8 text", file=file, value=str(error), remedy=remedy) from error
    return parse_groups(text, file)


def parse_groups(text: str, file: Path) -> GroupsFile:
    """Read the file's text. Raises ConfigError listing every malformed line."""
    reader = csv.reader(io.StringIO(text.removeprefix(BYTE_ORDER_MARK)), strict=True)
    faults: list[Fault] = []
    lines: dict[str, Line] = {}
    header: list[str] = []
    try:
        header = [plain(name.strip()) for name in next(reader, [])]
        _check_header(header, file)
        for cells in reader:
            values = [plain(cell.strip()) for cell in cells]
            if not any(values) or values[0].startswith("#"):
                continue
            line, fault = _line(reader.line_num, values, header)
            earlier = lines.setdefault(line.key, line)
            if not fault and earlier.values != line.values:
                fault = f"{line.key} has other values in line {earlier.number}"
            faults += [(line.number, fault)] if fault else []
    except csv.Error as error:
        faults.append((reader.line_num, str(error)))
    if faults:
        remedy = "fix or delete these lines; docs/groups.md shows the form"
        raise ConfigError(_count(faults), file=file, value=_listed(faults), remedy=remedy)
    return GroupsFile(header[0], tuple(header[1:]), tuple(lines.values()))


def grouped_images(groups: GroupsFile, rows: pd.DataFrame, file: Path) -> Grouped:
    """Find the images that the lines name. rows: image_id, source and sha256 of all images.

    Raises BadData where two lines give an image different values, where a member is in several sources, and where no
    line names any image.
    """
    if not groups.lines:
        return Grouped(groups.columns)
    named = _named_images(groups, rows)
    faults: list[Fault] = []
    values: dict[str, dict[str, str]] = {}
    for line in groups.lines:
        images = named.get(_as_key(groups.key, line.key), [])
        if groups.key == "member" and len(images) > 1:
            several = f"{line.key} is in several sources: name it by image_id ({', '.join(images)})"
            faults.append((line.number, several))
        for image_id in images:
            values[image_id] = dict(line.values)
    if faults:
        remedy = "fix these lines"
        raise BadData(_count(faults), file=file, value=_listed(faults), remedy=remedy)
    lost = tuple(one for one in groups.lines if _as_key(groups.key, one.key) not in named)
    if len(lost) == len(groups.lines):
        example = _example(groups.key, rows)
        remedy = f"spell them as the tables do{f', such as {example}' if example else ''}"
        what = f"no line names an image of the sources by its {groups.key}"
        first = f"line {lost[0].number}: {lost[0].key}"
        raise BadData(what, file=file, value=first, remedy=remedy)
    return Grouped(groups.columns, values, lost)


def _check_header(header: list[str], file: Path) -> None:
    """Raise ConfigError unless the first line names images by one of the keys, and each column once."""
    where = f"{file}:1"
    if not header or header[0] not in KEYS:
        remedy = f"name the images in the first column, headed {', '.join(KEYS[:-1])} or {KEYS[-1]}"
        raise ConfigError(
            "the first column does not say how images are named",
            file=where,
            value=",".join(header),
            remedy=remedy,
        )
    twice = sorted({name or "(empty)" for name in header if header.count(name) > 1 or not name})
    if twice:
        remedy = "give each column a name of its own"
        raise ConfigError(
            "columns without a name, or two of one name",
            file=where,
            value=", ".join(twice),
            remedy=remedy,
        )


def _line(number: int, values: list[str], header: list[str]) -> tuple[Line, str]:
    """The line, and what is wrong with it or ""."""
    fault = ""
    if not values[0]:
        fault = f"no {header[0]}"
    elif len(values) != len(header):
        fault = f"{len(values)} cells instead of {len(header)}"
    cells = zip(header[1:], values[1:], strict=False)
    key = values[0] or f"(line {number})"
    return Line(number, key, {name: value for name, value in cells if value}), fault


def _named_images(groups: GroupsFile, rows: pd.DataFrame) -> dict[str, list[str]]:
    """Key -> the images that it names, of the keys in the file."""
    wanted = {_as_key(groups.key, line.key) for line in groups.lines}
    ids = rows["image_id"].tolist()
    if groups.key == "image_id":
        return {image_id: [image_id] for image_id in ids if image_id in wanted}
    if groups.key == "sha256":
        keys: Iterable[str] = rows["sha256"].astype(object).where(rows["sha256"].notna(), "")
    else:
        keys = (path_in_source(i, source) for i, source in zip(ids, rows["source"], strict=True))
    named: dict[str, list[str]] = {}
    for image_id, key in zip(ids, keys, strict=True):
        if key in wanted:
            named.setdefault(key, []).append(image_id)
    return named


def _as_key(kind: str, key: str) -> str:
    return key.lower() if kind == "sha256" else key


def _example(kind: str, rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    first = rows.iloc[0]
    if kind == "member":
        return path_in_source(first["image_id"], first["source"])
    known = rows[kind].dropna()
    return str(known.iloc[0]) if len(known) else ""


def _count(faults: list[Fault]) -> str:
    return f"{len(faults)} wrong line{'s' if len(faults) > 1 else ''}"


def _listed(faults: list[Fault]) -> str:
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return "; ".join(f"line {number}: {what}" for number, what in faults[:SHOWN]) + more
