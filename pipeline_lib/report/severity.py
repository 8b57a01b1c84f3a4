"""How far off wrong answers are, where curation/classes.csv has superclasses: a husky for a malamute, or for a bus.

Severity of a mistake: the height of the lowest superclass of both label and answer, which is the largest number of
steps from it down to a class (Bertinetto et al. 2020, arXiv 1912.09393). Where classes share no superclass, that is
the height of one over all of them. As in the paper the hierarchy is a tree: along the first parent of each class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int64]
NAMED = 3  # superclasses in a row
ALL_CLASSES = "all classes"
Node = tuple[str, ...]  # the names from the top down


@dataclass(frozen=True)
class Height:
    """Mistakes of one height. names: the superclasses with the most of them."""

    height: int
    n_mistakes: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Severity:
    """mean: height of the mistakes. chance: the same for answers drawn among all other classes, for the same labels.

    of_all: mean over all images, a right answer as 0: hierarchical distance at 1. highest: the largest possible height.
    """

    n_mistakes: int
    mean: float
    chance: float
    of_all: float
    highest: int
    heights: tuple[Height, ...]


def severity(
    label_N: Labels, said_N: Labels, ancestry: Mapping[int, Sequence[str]]
) -> Severity | None:
    """Measure it. ancestry: class -> names of its superclasses from the top down. None without any, or any mistake."""
    wrong_N = label_N != said_N
    if not any(ancestry.values()) or not wrong_N.any():
        return None
    height_of, n_below = _tree(ancestry)
    chance = {k: _by_chance(path, height_of, n_below) for k, path in ancestry.items()}

    pairs = Counter(zip(label_N[wrong_N].tolist(), said_N[wrong_N].tolist(), strict=True))
    total = 0
    by_chance = 0.0
    nodes: dict[int, Counter[str]] = {}
    for (label, said), n in pairs.items():
        node = _common(ancestry[label], ancestry[said])
        height = height_of[node]
        total += n * height
        by_chance += n * chance[label]
        nodes.setdefault(height, Counter())[node[-1] if node else ALL_CLASSES] += n
    n_mistakes = pairs.total()
    return Severity(
        n_mistakes=n_mistakes,
        mean=total / n_mistakes,
        chance=by_chance / n_mistakes,
        of_all=total / len(label_N),
        highest=max(height_of.values()),
        heights=tuple(
            Height(height, found.total(), tuple(name for name, _ in found.most_common(NAMED)))
            for height, found in sorted(nodes.items())
        ),
    )


def _tree(ancestry: Mapping[int, Sequence[str]]) -> tuple[dict[Node, int], dict[Node, int]]:
    """Of each superclass, and of the one over all: its height, and the number of classes below it."""
    height_of: dict[Node, int] = {}
    n_below: Counter[Node] = Counter()
    for path in ancestry.values():
        for depth in range(len(path) + 1):
            node = tuple(path[:depth])
            height_of[node] = max(height_of.get(node, 0), len(path) + 1 - depth)
            n_below[node] += 1
    if n_below[()] == max(n for node, n in n_below.items() if node):
        del height_of[()]  # one superclass holds all classes already
    return height_of, dict(n_below)


def _by_chance(
    path: Sequence[str], height_of: Mapping[Node, int], n_below: Mapping[Node, int]
) -> float:
    """The mean height over all other classes: those below a superclass and not below the next one share its height."""
    total = 0
    inside = 1  # the class itself
    for depth in range(len(path), -1, -1):
        node = tuple(path[:depth])
        total += (n_below[node] - inside) * height_of.get(node, 0)
        inside = n_below[node]
    return total / max(inside - 1, 1)


def _common(one: Sequence[str], other: Sequence[str]) -> Node:
    shared = 0
    while shared < min(len(one), len(other)) and one[shared] == other[shared]:
        shared += 1
    return tuple(one[:shared])
