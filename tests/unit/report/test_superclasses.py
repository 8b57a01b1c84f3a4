"""A matrix of many classes: groups that hold at most 30, every cell counted once, every number linked."""

from pathlib import Path

import numpy as np
import pytest

from pipeline_lib.report.confusion import Grid, confusion, confusion_counts
from pipeline_lib.report.superclasses import MOST, MOST_GROUPS, levels_of, merged, read_superclasses


def counts(k: int, n: int = 20_000) -> np.ndarray:
    """Confusions of k classes, most of them with the class next to it."""
    random = np.random.default_rng(0)
    label_N = random.integers(0, k, n)
    near = random.random(n) < 0.2
    far = random.random(n) < 0.02
    said_N = np.where(far, random.integers(0, k, n), (label_N + near) % k)
    return confusion_counts(label_N, said_N, k)


def names(k: int) -> list[str]:
    return [f"class {i}" for i in range(k)]


@pytest.mark.parametrize("k", [31, 100, 1000, 2500])
def test_groups_hold_every_class_once_and_at_most_thirty(k: int) -> None:
    levels = levels_of(counts(k), names(k), {})

    size = k
    for level in levels:
        members = [member for group in level for member in group.members]
        assert sorted(members) == list(range(size))
        assert max(len(group.members) for group in level) <= MOST
        size = len(level)
    assert size <= MOST_GROUPS
    assert not levels_of(counts(30), names(30), {})


def test_classes_that_are_confused_share_a_group() -> None:
    random = np.random.default_rng(1)
    family = random.permutation(np.arange(100) % 10)  # ten families, scattered
    table = np.where(family[:, None] == family[None, :], 5, 0)

    (groups,) = levels_of(table, names(100), {})

    for one in range(10):
        found = {i for i, group in enumerate(groups) for m in group.members if family[m] == one}
        assert len(found) == 1


def test_superclasses_are_those_of_the_file_and_large_ones_are_cut(tmp_path: Path) -> None:
    lines = ["class_id,name,definition,parents", "a,animal,,", "d,dog,,a", "p,plant,,"]
    lines += [f"d{i},,,d" for i in range(25)] + [f"c{i},,,a" for i in range(10)]
    lines += [f"p{i},,,p" for i in range(40)]
    (tmp_path / "classes.csv").write_text("\ufeff" + "\n".join(lines) + "\n")
    above = read_superclasses(tmp_path / "classes.csv")
    ids = [one.split(",")[0] for one in lines[4:]]

    (groups,) = levels_of(counts(75), ids, {k: above[one] for k, one in enumerate(ids)})

    assert above["d3"] == ("animal", "dog")
    called = {group.name: len(group.members) for group in groups}
    assert called == {"animal": 10, "dog": 25, "plant 1/2": 20, "plant 2/2": 20}


def cells(grid: Grid) -> list[tuple[int, str]]:
    return [(cell.count, cell.href) for row in grid.rows for cell in row.cells if cell]


@pytest.mark.parametrize("k", [3, 100, 1500])
def test_every_image_is_in_one_cell_of_each_level_and_every_cell_leads_on(k: int) -> None:
    table = counts(k)

    found = confusion(table, names(k), {})

    anchors = {f"{page.page}#own" for page in found.pages}
    anchors |= {f"{page.page}#{block.anchor}" for page in found.pages for block in page.blocks}
    assert sum(count for count, _ in cells(found.grid)) == table.sum()
    below = [
        cell
        for page in found.pages
        for grid in (page.own, *(block.grid for block in page.blocks))
        for cell in cells(grid)
    ]
    leaves = {
        href: count for count, href in [*below, *cells(found.grid)] if href.startswith("class-")
    }
    assert {href for _, href in [*below, *cells(found.grid)]} - set(leaves) <= anchors
    assert sum(leaves.values()) == table.sum()
    assert len(leaves) == np.count_nonzero(table)
    for page in found.pages:
        for grid in (page.own, *(block.grid for block in page.blocks)):
            assert len(grid.rows) <= MOST and len(grid.columns) <= MOST


def test_merging_keeps_the_counts() -> None:
    table = counts(100)
    (groups,) = levels_of(table, names(100), {})

    assert merged(table, groups).sum() == table.sum()
