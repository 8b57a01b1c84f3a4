"""Groups of classes for a confusion matrix that nobody could read class by class.

The groups are the superclasses that people name in curation/classes.csv (`parents`); without any, classes that are
confused with one another. A group holds at most `MOST` classes. More than `MOST_GROUPS` groups are grouped again.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
MOST = 30  # rows of a block
MOST_GROUPS = 40  # rows of the matrix of groups
NO_PARENT = "other classes"
SEPARATOR = ";"  # between parents


@dataclass(frozen=True)
class Group:
    """A group at one level. members: positions in the level below, which is the classes for the first level."""

    name: str
    members: tuple[int, ...]


def read_superclasses(file: Path) -> dict[str, tuple[str, ...]]:
    """class id -> names of its superclasses from the top down, along the first parent of each.

    file: curation/classes.csv, which `curate` has checked: it has no circles and no unknown parents.
    """
    lines = csv.DictReader(io.StringIO(normalize("NFC", file.read_text(encoding="utf-8-sig"))))
    words = {line["class_id"].strip(): line for line in lines if line["class_id"]}

    def above(class_id: str) -> str | None:
        parents = [one.strip() for one in (words[class_id]["parents"] or "").split(SEPARATOR)]
        return next((one for one in parents if one in words), None)

    found: dict[str, tuple[str, ...]] = {}
    for class_id in words:
        path: list[str] = []
        parent = above(class_id)
        while parent is not None:
            path.insert(0, words[parent]["name"].strip() or parent)
            parent = above(parent)
        found[class_id] = tuple(path)
    return found


def levels_of(
    counts_KK: Counts, names: Sequence[str], ancestry: Mapping[int, Sequence[str]]
) -> tuple[tuple[Group, ...], ...]:
    """The levels above the classes, the lowest first; none for up to `MOST` classes.

    counts_KK: rows the true classes. ancestry: class -> names of its superclasses from the top down; empty for none.
    """
    if len(names) <= MOST:
        return ()
    named = any(ancestry.get(label) for label in range(len(names)))
    if named:
        groups = _by_parents(range(len(names)), ancestry, depth=0, name=NO_PARENT)
        if len(groups) > MOST_GROUPS:
            groups = _packed(groups)
    else:
        groups = _by_confusion(counts_KK, names)
    levels = [tuple(groups)]
    while len(levels[-1]) > MOST_GROUPS:
        levels.append(_in_runs(levels[-1]))
    return tuple(levels)


def merged(counts: Counts, groups: Sequence[Group]) -> Counts:
    """Counts of pairs of groups from those of pairs of members."""
    group_of = np.empty(len(counts), np.int64)
    for number, group in enumerate(groups):
        group_of[list(group.members)] = number
    rows, columns = np.nonzero(counts)
    result = np.zeros((len(groups), len(groups)), np.int64)
    np.add.at(result, (group_of[rows], group_of[columns]), counts[rows, columns])
    return result


def _by_parents(
    labels: Sequence[int], ancestry: Mapping[int, Sequence[str]], *, depth: int, name: str
) -> list[Group]:
    """Go down the tree until a superclass fits into a group."""
    if len(labels) <= MOST:
        return [Group(name, tuple(labels))]
    below: dict[str, list[int]] = {}
    for label in labels:
        above = ancestry.get(label, ())
        below.setdefault(above[depth] if depth < len(above) else "", []).append(label)

    # What has no finer superclass is cut into runs; nothing else tells its classes apart.
    groups = _runs(below.pop("", []), name)
    for child, found in sorted(below.items()):
        groups += _by_parents(found, ancestry, depth=depth + 1, name=child)
    return groups


def _by_confusion(counts_KK: Counts, names: Sequence[str]) -> list[Group]:
    """Join the most confused classes first, as long as their cluster fits into a group (Kruskal's algorithm, cut short).

    How much two classes are confused: the shares of their images that went to the other, added.
    """
    share_KK = counts_KK / np.maximum(counts_KK.sum(axis=1, keepdims=True), 1)
    rows, columns = np.nonzero(counts_KK)
    off = rows < columns
    mirrored = (rows > columns) & (counts_KK[columns, rows] == 0)
    first = np.concatenate([rows[off], columns[mirrored]])
    second = np.concatenate([columns[off], rows[mirrored]])
    strength = share_KK[first, second] + share_KK[second, first]
    cluster_of = list(range(len(names)))
    members = {label: [label] for label in range(len(names))}
    for edge in np.lexsort((second, first, -strength)).tolist():
        one, other = cluster_of[int(first[edge])], cluster_of[int(second[edge])]
        if one == other or len(members[one]) + len(members[other]) > MOST:
            continue
        keep, gone = min(one, other), max(one, other)
        for label in members.pop(gone):
            members[keep].append(label)
            cluster_of[label] = keep
    confused = counts_KK.sum(axis=1) + counts_KK.sum(axis=0) - 2 * counts_KK.diagonal()
    clusters = [_cluster(found, names, confused) for found in members.values()]
    return _packed(sorted(clusters, key=lambda one: (-len(one.members), one.members)))


def _cluster(members: list[int], names: Sequence[str], confused: Counts) -> Group:
    """A cluster is called after its most confused classes."""
    ordered = sorted(members, key=lambda label: (-confused[label], label))
    return Group(", ".join(names[label] for label in ordered[:2]), tuple(sorted(members)))


def _packed(groups: Sequence[Group]) -> list[Group]:
    """Put groups together, in order, where they fit into one (first fit)."""
    packed: list[list[Group]] = []
    for group in groups:
        room = (
            found
            for found in packed
            if sum(len(one.members) for one in found) + len(group.members) <= MOST
        )
        found = next(room, None)
        if found is None:
            packed.append([group])
        else:
            found.append(group)
    return [_together(found) for found in packed]


def _together(groups: Sequence[Group]) -> Group:
    members = tuple(sorted(member for group in groups for member in group.members))
    return Group(_listed([group.name for group in groups]), members)


def _listed(names: Sequence[str]) -> str:
    shown = list(dict.fromkeys(names))
    return ", ".join(shown[:2]) + (f" and {len(shown) - 2} more" if len(shown) > 2 else "")


def _runs(labels: Sequence[int], name: str) -> list[Group]:
    n_runs = math.ceil(len(labels) / MOST)
    parts = (
        [part.tolist() for part in np.array_split(np.array(labels, int), n_runs)] if n_runs else []
    )
    return [
        Group(name if n_runs == 1 else f"{name} {number + 1}/{n_runs}", tuple(part))
        for number, part in enumerate(parts)
    ]


def _in_runs(groups: Sequence[Group]) -> tuple[Group, ...]:
    """Groups of groups: neighbours, about as many as each holds."""
    n_runs = min(math.ceil(math.sqrt(len(groups))), MOST_GROUPS)
    n_runs = max(n_runs, math.ceil(len(groups) / MOST))
    parts = np.array_split(np.arange(len(groups)), n_runs)
    return tuple(
        Group(_listed([groups[i].name for i in part.tolist()]), tuple(part.tolist()))
        for part in parts
    )
