"""The confusion matrix as grids whose cells lead to images: of classes, or of groups of them and their blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline_lib.report.superclasses import Group, levels_of, merged

Counts = npt.NDArray[np.int64]
SHADES = 9  # steps of colour; 0 is none
SHOWN_PAIRS = 15
Address = Callable[[int, int], str]  # (true, predicted) -> where the images of a cell are


@dataclass(frozen=True)
class Cell:
    """count of `of` images of the row. shade: 1..9, more for a larger share of the row. right: on the diagonal."""

    count: int
    shade: int
    right: bool
    href: str
    reading: str


@dataclass(frozen=True)
class Head:
    """A row or column: its name, and where it leads."""

    name: str
    href: str


@dataclass(frozen=True)
class Row:
    """cells: one per column, None for no image. total: all images of the row, also those of no column here."""

    head: Head
    total: int
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Grid:
    """A matrix, rows the true classes or groups."""

    columns: tuple[Head, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Pair:
    """Images of class `actual` that were taken for `predicted`, and where they are."""

    actual: Head
    predicted: Head
    count: int
    of: int
    href: str


@dataclass(frozen=True)
class Block:
    """What a group was taken for: a grid of at most 30 x 30. anchor: on the page of the group."""

    anchor: str
    towards: Head
    count: int
    grid: Grid


@dataclass(frozen=True)
class GroupPage:
    """One group of one level: its own block first, then what it was taken for, the most images first."""

    page: str
    group: Group
    n_classes: int
    own: Grid
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Confusion:
    """grid: the whole, of classes or of groups. is_grouped: of groups. pages: one per group of every level."""

    grid: Grid
    is_grouped: bool
    pages: tuple[GroupPage, ...]
    pairs: tuple[Pair, ...]


def class_page(label: int) -> str:
    """The page of a class."""
    return f"class-{label}.html"


def cell_address(actual: int, predicted: int) -> str:
    """Where the images of class `actual` that were taken for `predicted` are shown."""
    return f"{class_page(actual)}#{'right' if actual == predicted else f'as-{predicted}'}"


def confusion_counts(
    label_N: npt.NDArray[np.int64], said_N: npt.NDArray[np.int64], k: int
) -> Counts:
    """Images by true (row) and predicted class."""
    return np.bincount(label_N * k + said_N, minlength=k * k).reshape(k, k)


def confusion(
    counts_KK: Counts, names: Sequence[str], ancestry: Mapping[int, Sequence[str]]
) -> Confusion:
    """Lay out the matrix; see superclasses.py for `ancestry`."""
    heads = [Head(name, class_page(label)) for label, name in enumerate(names)]
    levels = levels_of(counts_KK, names, ancestry)
    pages: list[GroupPage] = []
    below = heads
    address: Address = cell_address
    counts = counts_KK
    n_below = np.ones(len(names), int)
    for number, groups in enumerate(levels, 1):
        above = [Head(group.name, group_page(number, i)) for i, group in enumerate(groups)]
        between = merged(counts, groups)
        n_classes = np.array([n_below[list(group.members)].sum() for group in groups])
        for i, group in enumerate(groups):
            pages.append(
                GroupPage(
                    page=group_page(number, i),
                    group=group,
                    n_classes=int(n_classes[i]),
                    own=_grid(counts, below, group.members, group.members, address),
                    blocks=_blocks(i, groups, between, counts, below, above, address),
                )
            )
        below, counts, n_below = above, between, n_classes
        address = _between_groups(number)
    everything = range(len(below))
    grid = _grid(counts, below, everything, everything, address)
    return Confusion(grid, bool(levels), tuple(pages), _pairs(counts_KK, heads))


def group_page(level: int, number: int) -> str:
    """The page of a group."""
    return f"group-{level}-{number}.html"


def _between_groups(level: int) -> Address:
    return lambda i, j: f"{group_page(level, i)}#{'own' if i == j else f'to-{j}'}"


def _blocks(
    i: int,
    groups: Sequence[Group],
    between: Counts,
    counts: Counts,
    below: Sequence[Head],
    above: Sequence[Head],
    address: Address,
) -> tuple[Block, ...]:
    """What group i was taken for, without its own and without the rows and columns that are empty."""
    others = [j for j in np.flatnonzero(between[i]).tolist() if j != i]
    others.sort(key=lambda j: (-between[i, j], j))
    blocks = []
    for j in others:
        rows = np.array(groups[i].members)
        columns = np.array(groups[j].members)
        part = counts[np.ix_(rows, columns)]
        rows = rows[part.any(axis=1)]
        columns = columns[part.any(axis=0)]
        grid = _grid(counts, below, rows.tolist(), columns.tolist(), address)
        blocks.append(Block(f"to-{j}", above[j], int(between[i, j]), grid))
    return tuple(blocks)


def _grid(
    counts: Counts,
    heads: Sequence[Head],
    rows: Sequence[int],
    columns: Sequence[int],
    address: Address,
) -> Grid:
    total = counts.sum(axis=1)
    laid = []
    for i in rows:
        cells = tuple(_cell(counts, total, heads, i, j, address) for j in columns)
        laid.append(Row(heads[i], int(total[i]), cells))
    return Grid(tuple(heads[j] for j in columns), tuple(laid))


def _cell(
    counts: Counts, total: Counts, heads: Sequence[Head], i: int, j: int, address: Address
) -> Cell | None:
    count = int(counts[i, j])
    if not count:
        return None
    share = count / int(total[i])
    reading = f"{heads[i].name} taken for {heads[j].name}: {count} of {total[i]}"
    # Few mistakes must show beside many right answers: their scale is a root, steeper for small shares.
    strength = share if i == j else min(math.sqrt(2 * share), 1.0)
    return Cell(count, max(1, round(SHADES * strength)), i == j, address(i, j), reading)


def _pairs(counts_KK: Counts, heads: Sequence[Head]) -> tuple[Pair, ...]:
    """The most frequent confusions, most frequent first."""
    rows, columns = np.nonzero(counts_KK)
    off = rows != columns
    found = pd.DataFrame(
        {"i": rows[off], "j": columns[off], "n": counts_KK[rows[off], columns[off]]}
    )
    found = found.sort_values(["n", "i", "j"], ascending=[False, True, True]).head(SHOWN_PAIRS)
    return tuple(
        Pair(heads[i], heads[j], n, int(counts_KK[i].sum()), cell_address(i, j))
        for i, j, n in found.itertuples(index=False)
    )
