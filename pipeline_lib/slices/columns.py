"""Put the test images into groups, one column at a time. Where predictions meet the manifest: a report, never `evaluate`."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline_lib.errors import ConfigError
from pipeline_lib.slices import names
from pipeline_lib.slices.groups_file import Grouped, grouped_images, read_groups
from pipeline_lib.tables.extras import EXTRAS
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.votes import VOTES

BINS = 4
MOST_PLAIN = 12  # numbers of more different values are cut into bins
TYPICAL = 20  # images that share a whole number, from which on it may be a code
PADDED = re.compile(r"[+-]?0\d")
Rows = npt.NDArray[np.int64]
Cell = str | float | tuple[str, ...] | None  # a text, a number, several texts, or nothing


@dataclass(frozen=True)
class Column:
    """The groups of one column. groups: value -> positions of its test images; None: those without a value.

    name: as in register.slices. title: for people.
    """

    name: str
    title: str
    groups: Mapping[str | None, Rows]


@dataclass(frozen=True)
class Wanted:
    """What a report groups by: columns as register.slices names them, and the checkout with curation/groups.csv."""

    columns: tuple[str, ...]
    checkout: Path


@dataclass(frozen=True)
class Columns:
    """found: one by one, as params name them. lost: numbers of lines in groups.csv that name no image of the sources."""

    found: tuple[Column, ...]
    lost: tuple[int, ...] = ()


def read_columns(wanted: Wanted, image_ids: list[str], files: Mapping[str, Path]) -> Columns:
    """Group images by each wanted column. image_ids: the test images, in the order that positions count.

    files: artifacts by role. Raises ConfigError for a column that no file has, and what curation/groups.csv raises.
    """
    manifest = MANIFEST.read(files["manifest"])
    checkout = wanted.checkout
    grouped = grouped_images(read_groups(checkout), manifest, checkout / names.GROUPS_FILE)
    rows = manifest.set_index("image_id").reindex(image_ids)
    extras: dict[str, dict[str, Cell]] | None = None
    images: pd.DataFrame | None = None
    found = []
    for name in _spelled_out(wanted.columns, grouped):
        place, _, column = name.partition(".")
        if name == names.ANNOTATOR:
            cells = _annotators(VOTES.read(files["votes"]), image_ids)
        elif place == names.GROUPS:
            cells = _of_groups(column, grouped, image_ids, checkout)
        elif place == names.EXTRAS:
            extras = _extras(files["extras"], image_ids) if extras is None else extras
            cells = _of_extras(column, extras, image_ids, files["extras"])
        elif name == names.SHORT_SIDE:
            cells = _cells(rows[["width_px", "height_px"]].min(axis=1))
        elif name in rows.columns:
            cells = _cells(rows[name])
        else:
            if images is None:
                images = IMAGES.read(files["images"]).set_index("image_id").reindex(image_ids)
            cells = _cells(images[name])
        found.append(Column(name, names.TITLES.get(name, _title(name)), groups_of(cells)))
    return Columns(tuple(found), tuple(line.number for line in grouped.lost))


def check_columns(wanted: Wanted, files: Mapping[str, Path]) -> None:
    """Raise what `read_columns` would, before anything is recorded."""
    read_columns(wanted, [], files)


def groups_of(cells: Sequence[Cell]) -> dict[str | None, Rows]:
    """Value -> positions. Numbers of many values are cut at their quartiles; images without a value come last."""
    numbers = _as_numbers(cells)
    texts: Sequence[Cell] = cells
    order: list[str] = []
    if numbers is not None:
        order, texts = _bins(numbers)
    places: dict[str, list[int]] = {label: [] for label in order}
    nothing: list[int] = []
    for place, cell in enumerate(texts):
        values = cell if isinstance(cell, tuple) else () if cell is None else (_as_text(cell),)
        for value in values:
            places.setdefault(value, []).append(place)
        if not values:
            nothing.append(place)
    known = order or sorted(places, key=_in_order)
    groups: dict[str | None, Rows] = {
        value: np.array(places[value], np.int64) for value in known if places[value]
    }
    return groups | ({None: np.array(nothing, np.int64)} if nothing else {})


def _spelled_out(wanted: Sequence[str], grouped: Grouped) -> list[str]:
    """The names with every column of groups.csv in the place of `groups`; each once."""
    every = [f"{names.GROUPS}.{column}" for column in grouped.columns]
    spelled = [one for name in wanted for one in (every if name == names.GROUPS else [name])]
    return list(dict.fromkeys(spelled))


def _of_groups(
    column: str, grouped: Grouped, image_ids: Sequence[str], checkout: Path
) -> list[Cell]:
    if column not in grouped.columns:
        _refuse(f"{names.GROUPS}.{column}", column, grouped.columns, checkout / names.GROUPS_FILE)
    return [grouped.values.get(image_id, {}).get(column) for image_id in image_ids]


def _of_extras(
    column: str, extras: Mapping[str, Mapping[str, Cell]], image_ids: Sequence[str], file: Path
) -> list[Cell]:
    known = {name for one in extras.values() for name in one}
    if column not in known:
        _refuse(f"{names.EXTRAS}.{column}", column, known, file)
    return [extras.get(image_id, {}).get(column) for image_id in image_ids]


def _refuse(name: str, column: str, known: Sequence[str] | set[str], file: Path) -> None:
    raise ConfigError(
        f"register.slices names a column that is not there: {name}",
        file=file,
        value=column,
        remedy=f"name one of: {names.nearest_of(column, known)}",
    )


def _extras(file: Path, image_ids: Sequence[str]) -> dict[str, dict[str, Cell]]:
    """image_id -> column -> value, of all images: a column may be known of training images only."""
    rows = EXTRAS.read(file)
    found: dict[str, dict[str, Cell]] = {}
    for image_id, text in zip(rows["image_id"], rows["extras"], strict=True):
        cells = json.loads(text)
        found[image_id] = {name: _said(value) for name, value in cells.items() if _is_plain(value)}
    return found


def _is_plain(value: object) -> bool:
    """Boxes and other nested values tell no groups."""
    return isinstance(value, str | int | float)


def _said(value: str | float) -> Cell:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value


def _annotators(votes: pd.DataFrame, image_ids: Sequence[str]) -> list[Cell]:
    known: dict[str, tuple[str, ...]] = dict.fromkeys(image_ids, ())
    for image_id, annotator in zip(votes["image_id"], votes["annotator"], strict=True):
        if image_id in known:
            known[image_id] += (annotator,)
    return [known[image_id] for image_id in image_ids]


def _cells(column: pd.Series) -> list[Cell]:
    """A column of a table as plain values."""
    return [_cell(value) for value in column.tolist()]


def _cell(value: object) -> Cell:
    if isinstance(value, np.ndarray | list | tuple):
        return tuple(str(one) for one in value)
    if value is None or value is pd.NA or value != value:  # a NaN
        return None
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return float(value) if isinstance(value, int | float | np.number) else str(value)


def _as_numbers(cells: Sequence[Cell]) -> npt.NDArray[np.float64] | None:
    """The numbers, NaN for no value; None unless all values are finite numbers of more than MOST_PLAIN values.

    Whole numbers that people wrote may be codes (of a site, a device): those that begin with 0 or that a typical image
    shares with a measurable group stay what they are.
    """
    found = np.full(len(cells), np.nan)
    for place, cell in enumerate(cells):
        if isinstance(cell, bool | tuple) or (isinstance(cell, str) and PADDED.match(cell)):
            return None
        if cell is None:
            continue
        try:
            found[place] = float(cell)
        except ValueError:
            return None
        if not np.isfinite(found[place]):
            return None
    _, which, counts = np.unique(found[~np.isnan(found)], return_inverse=True, return_counts=True)
    if len(counts) <= MOST_PLAIN:
        return None
    was_written = any(isinstance(cell, str | int) for cell in cells)
    is_code = was_written and np.median(counts[which]) >= TYPICAL
    return None if is_code else found


def _bins(numbers: npt.NDArray[np.float64]) -> tuple[list[str], list[Cell]]:
    """The names of the bins between quartiles, which are values that occur, and the bin of each number."""
    known = numbers[~np.isnan(numbers)]
    inner = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf")
    edges = np.unique(inner[inner < known.max()])
    texts = _distinct([known.min(), *edges, known.max()])
    labels = [f"{texts[0]} to {texts[1]}"]
    labels += [f"over {low} to {high}" for low, high in itertools.pairwise(texts[1:])]
    which = np.searchsorted(edges, numbers, side="left")
    return labels, [
        None if np.isnan(number) else labels[place]
        for number, place in zip(numbers.tolist(), which.tolist(), strict=True)
    ]


def _distinct(edges: Sequence[float]) -> list[str]:
    """Numbers with as few digits as tell them apart, four at least."""
    write: Callable[[float, int], str] = lambda edge, digits: f"{edge:.{digits}g}"  # noqa: E731
    for digits in range(4, 18):
        texts = [write(float(edge), digits) for edge in edges]
        if len(set(texts)) == len(set(map(float, edges))):
            break
    return [
        text if "e" not in text else repr(float(edge))
        for text, edge in zip(texts, edges, strict=True)
    ]


def _as_text(cell: str | float) -> str:
    if isinstance(cell, str):
        return cell
    return str(int(cell)) if float(cell).is_integer() else repr(float(cell))


def _in_order(value: str) -> tuple[float, str]:
    """Numbers by size, then words."""
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value


def _title(name: str) -> str:
    place, dot, column = name.partition(".")
    return column if dot and place in (names.GROUPS, names.EXTRAS) else name.replace("_", " ")
