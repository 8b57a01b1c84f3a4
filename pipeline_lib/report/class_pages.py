"""The page of each class: what its images were taken for, what was taken for it, and the images themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline_lib.registry import ClassChange
from pipeline_lib.report.confusion import Head, class_page
from pipeline_lib.report.galleries import MOST, Card, Gallery
from pipeline_lib.report.pages import Section, answer_card, flips

RIGHT_SHOWN, RIGHT_SHOWN_OF_MANY, MANY_CLASSES = 12, 4, 100
Positions = npt.NDArray[np.int64]  # rows of the answers, the least probability for the truth first


@dataclass(frozen=True)
class Confused:
    """How often a class was taken for another, or another for it, and where these images are."""

    other: Head
    count: int
    href: str


@dataclass(frozen=True)
class ClassPage:
    """One class. facts: its row of per_class.csv. change: against the champion, where both know the class.

    points: its rows of operating_points.csv, None for what is not a number.
    """

    file: str
    name: str
    class_id: str
    facts: Mapping[str, Any]
    taken_for: tuple[Confused, ...]
    mistaken_for_it: tuple[Confused, ...]
    sections: tuple[Section, ...]
    change: ClassChange | None
    points: tuple[dict[Any, Any], ...]


class _Cards:
    """The cards of the rows that are shown, each made once: a row may be wrong and a flip."""

    def __init__(self, answers: pd.DataFrame, shown: Positions) -> None:
        rows: list[dict[Any, Any]] = answers.iloc[shown].to_dict("records")
        self._at: dict[int, Card] = {
            at: answer_card(row) for at, row in zip(shown.tolist(), rows, strict=True)
        }

    def gallery(self, positions: Positions, most: int = MOST) -> Gallery:
        """The first `most` of these rows."""
        return Gallery(tuple(self._at[at] for at in positions[:most].tolist()), len(positions))


def class_pages(
    answers: pd.DataFrame,
    classes: pd.DataFrame,
    facts: Mapping[str, Mapping[str, Any]],
    changes: Mapping[str, ClassChange],
    points: pd.DataFrame,
) -> tuple[ClassPage, ...]:
    """One page per class. answers: sorted as `read_answers` does. facts, changes: by class id. points: of all classes."""
    names = list(classes["name"])
    n_right = RIGHT_SHOWN if len(names) <= MANY_CLASSES else RIGHT_SHOWN_OF_MANY
    label_N = answers["label"].to_numpy()
    said_N = answers["predicted"].to_numpy()
    right_N = answers["correct"].to_numpy()
    lost_N, won_N = flips(answers)

    # Pairs of classes, from both sides.
    pairs, counts = np.unique(
        np.stack([label_N, said_N], axis=1)[~right_N], axis=0, return_counts=True
    )
    taken_for: dict[int, list[tuple[int, int]]] = {}
    mistaken: dict[int, list[tuple[int, int]]] = {}
    for (i, j), n in zip(pairs.tolist(), counts.tolist(), strict=True):
        taken_for.setdefault(i, []).append((j, n))
        mistaken.setdefault(j, []).append((i, n))

    # Of the right answers of a class only the least certain are shown.
    place_N = answers.groupby(["label", "correct"]).cumcount().to_numpy()
    cards = _Cards(answers, np.flatnonzero(~right_N | won_N | (place_N < n_right)))
    rows_of = answers.groupby("label").indices
    known = points.astype(object).where(points.notna(), None)
    points_of: dict[Any, tuple[dict[Any, Any], ...]] = {
        name: tuple(rows.to_dict("records")) for name, rows in known.groupby("class")
    }
    pages = []
    for label, class_id in enumerate(classes["class_id"]):
        rows = np.sort(rows_of.get(label, np.empty(0, np.int64)))
        others = _most_first(taken_for.get(label, ()))
        sections = [
            Section(
                f"as-{j}",
                "Taken for",
                cards.gallery(rows[(said_N[rows] == j) & ~right_N[rows]]),
                name=names[j],
            )
            for j, _ in others
        ]
        right = cards.gallery(rows[right_N[rows]], n_right)
        sections.append(Section("right", "Right", right, "The least certain first."))
        sections.append(
            Section("lost", "Right before, wrong now", cards.gallery(rows[lost_N[rows]]))
        )
        sections.append(Section("won", "Wrong before, right now", cards.gallery(rows[won_N[rows]])))
        pages.append(
            ClassPage(
                file=class_page(label),
                name=names[label],
                class_id=class_id,
                facts=facts[class_id],
                taken_for=tuple(
                    Confused(Head(names[j], class_page(j)), n, f"#as-{j}") for j, n in others
                ),
                mistaken_for_it=tuple(
                    Confused(Head(names[i], class_page(i)), n, f"{class_page(i)}#as-{label}")
                    for i, n in _most_first(mistaken.get(label, ()))
                ),
                sections=tuple(one for one in sections if one.gallery.cards),
                change=changes.get(class_id),
                points=points_of.get(class_id, ()),
            )
        )
    return tuple(pages)


def _most_first(found: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return sorted(found, key=lambda one: (-one[1], one[0]))
